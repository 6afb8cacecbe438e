# HRNet-W32 with the SSTN and the parallel SPPE, from stage 1
_base_ = 'td-hm_hrnet-w32_rmpe-stage1-8xb64-210e_coco-256x192.py'

load_from = (
    'work_dirs/td-hm_hrnet-w32_rmpe-stage1-8xb64-210e_coco-256x192/epoch_210.pth'
)
model = _base_.sstn
custom_hooks = _base_.sstn_hooks

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='KeepTrueBox'),
    dict(type='RandomBBoxTransform', rotate_prob=0.0, **_base_.perturbation),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='TrueWindow'),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='GenerateCentredTarget', encoder=_base_.codec),
    dict(type='PackSSTNInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
train_cfg = _base_.sstn_train
optim_wrapper = _base_.sstn_optim
param_scheduler = _base_.sstn_scheduler
