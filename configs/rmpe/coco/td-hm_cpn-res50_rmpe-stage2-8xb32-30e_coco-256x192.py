# Stage 2 of RMPE: CPN-ResNet-50 with the SSTN and the parallel SPPE.
_base_ = 'td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192.py'

load_from = (
    'work_dirs/td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192/epoch_160.pth'
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
