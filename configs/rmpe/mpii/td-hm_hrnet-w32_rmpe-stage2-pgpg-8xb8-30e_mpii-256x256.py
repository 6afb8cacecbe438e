# Stage 2 of RMPE: HRNet-W32 with the SSTN and the parallel SPPE.
_base_ = 'td-hm_hrnet-w32_rmpe-stage1-pgpg-8xb8-30e_mpii-256x256.py'

load_from = (
    'work_dirs/td-hm_hrnet-w32_rmpe-stage1-pgpg-8xb8-30e_mpii-256x256/epoch_30.pth'
)
model = _base_.sstn.model
custom_hooks = _base_.sstn.custom_hooks
swaps = _base_.sstn.transforms
train_pipeline = [dict(t, **swaps.get(t['type'], {})) for t in _base_.train_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
optim_wrapper = dict(
    optimizer=dict(lr=5e-5), paramwise_cfg=_base_.sstn.optim_wrapper.paramwise_cfg
)
