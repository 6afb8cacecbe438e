# CPN-ResNet-50 with the SSTN and the parallel SPPE, from stage 1
_base_ = 'td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192.py'

load_from = (
    'work_dirs/td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192/epoch_160.pth'
)
model = _base_.sstn
custom_hooks = _base_.sstn_hooks

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RawVisibility'),
    dict(type='CPNBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='KeepTrueBox'),
    dict(type='RandomBBoxTransform', rotate_prob=0.0, **_base_.perturbation),
    dict(type='TopdownAffine', input_size=_base_.codec[0]['input_size']),
    dict(type='TrueWindow'),
    dict(type='GenerateTarget', multilevel=True, encoder=_base_.codec),
    dict(type='GenerateCentredTarget', multilevel=True, encoder=_base_.codec),
    dict(type='PackSSTNInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
train_cfg = _base_.sstn_train
optim_wrapper = _base_.sstn_optim
param_scheduler = _base_.sstn_scheduler
