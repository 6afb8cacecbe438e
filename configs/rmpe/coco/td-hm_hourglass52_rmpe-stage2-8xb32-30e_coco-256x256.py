# Stage 2 of RMPE: Hourglass-52 with the SSTN and the parallel SPPE.
_base_ = 'td-hm_hourglass52_rmpe-stage1-8xb32-210e_coco-256x256.py'

load_from = (
    'work_dirs/td-hm_hourglass52_rmpe-stage1-8xb32-210e_coco-256x256/epoch_210.pth'
)
model = _base_.sstn.model
custom_hooks = _base_.sstn.custom_hooks
swaps = _base_.sstn.transforms
train_pipeline = [dict(t, **swaps.get(t['type'], {})) for t in _base_.train_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
train_cfg = _base_.sstn.train_cfg
optim_wrapper = _base_.sstn.optim_wrapper
param_scheduler = _base_.sstn.param_scheduler
