# Stage 1 of RMPE: CPN-ResNet-50 on proposals.
_base_ = [
    '../../_base_/cpn_coco-256x192.py',
    '../../_base_/rmpe.py',
    '../../_base_/rmpe_mpii.py',
]

model = dict(head=dict(out_channels=16))

# pipeline: sampled proposals instead of random shift and scale; no rotation
load, visibility, crop, flip, _, *steps = _base_.train_pipeline
train_pipeline = [
    load,
    dict(type='PoseGuidedProposal', model='alphapose'),
    visibility,
    crop,
    flip,
    dict(type='RandomChannelGain', low=0.6, high=1.4),
    *steps,
]

# data loaders
train_dataloader = dict(
    batch_size=8,
    dataset=dict(_delete_=True, **_base_.mpii_train, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(_delete_=True, **_base_.mpii_single, pipeline=_base_.val_pipeline)
)
test_dataloader = dict(
    dataset=dict(_delete_=True, **_base_.mpii_test, pipeline=_base_.val_pipeline)
)

# evaluators
val_evaluator = dict(_delete_=True, type='MpiiPCKAccuracy')
test_evaluator = dict(_delete_=True, **_base_.multi_person_map)

# schedule
train_cfg = _base_.mpii_epochs
param_scheduler = _base_.mpii_scheduler
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='RMSprop', lr=2.5e-4, alpha=0.99)
)
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(save_best='PCK'))
