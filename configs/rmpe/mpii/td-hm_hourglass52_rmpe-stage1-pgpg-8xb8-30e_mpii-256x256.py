# Stage 1 of RMPE: an Hourglass with one stack on proposals.
_base_ = 'td-hm_hourglass-8stack_rmpe-stage1-pgpg-8xb1-30e_mpii-256x256.py'

# MMPose builds a block between stacks even for one stack; it has no gradient
find_unused_parameters = True
model = dict(
    backbone=dict(_delete_=True, type='HourglassNet', num_stacks=1),
    head=dict(num_stages=1),
)
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=64)
