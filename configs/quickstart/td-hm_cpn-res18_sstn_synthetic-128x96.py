# Stage 2 of RMPE on synthetic people: continues the training of the quickstart's CPN
# with an SSTN and the parallel SPPE, on perturbed boxes.
_base_ = ['td-hm_cpn-res18_synthetic-128x96.py', '../_base_/rmpe.py']

load_from = 'work_dirs/quickstart/epoch_3.pth'

# model: the localisation network is initialised with stage 1's backbone
model = dict(
    type='SSTNPoseEstimator',
    parallel=dict(loss_weight=1.0),
    stn=dict(
        type='SpatialTransformer',
        backbone=dict(
            _base_.model.backbone,
            init_cfg=dict(type='Pretrained', checkpoint=load_from, prefix='backbone.'),
        ),
        in_channels=192,
    ),
)
custom_hooks = _base_.sstn.custom_hooks

# pipelines: validation on perturbed boxes, for WindowIoUMetric; test on detections
crop = [dict(type='LoadIntactImage'), dict(type='CPNBBoxCenterScale')]
perturb = [
    dict(type='RandomBBoxTransform', rotate_prob=0.0, **_base_.perturbation),
    dict(type='TopdownAffine', input_size=_base_.input_size),
]
train_pipeline = [
    *crop,
    dict(type='RawVisibility'),
    dict(type='RandomFlip', direction='horizontal'),
    *perturb,
    dict(type='GenerateSSTNTarget', multilevel=True, encoder=_base_.codec),
    dict(type='PackSSTNInputs'),
]
test_pipeline = _base_.val_pipeline
val_pipeline = [
    *crop,
    *perturb,
    dict(type='GroundTruthWindow'),
    dict(type='PackSSTNInputs'),
]
train_dataloader = dict(
    batch_size=32, num_workers=2, dataset=dict(pipeline=train_pipeline)
)
# restarted workers give the same perturbations in every validation
val_dataloader = dict(
    num_workers=2, persistent_workers=False, dataset=dict(pipeline=val_pipeline)
)
test_dataloader = dict(
    dataset=dict(bbox_file=_base_.data_root + 'annotations/person_detections_val.json')
)
val_evaluator = [_base_.val_evaluator, dict(type='WindowIoUMetric')]

# schedule
train_cfg = dict(max_epochs=2)
warm_up, cosine = _base_.param_scheduler
param_scheduler = [dict(warm_up, end=50), dict(cosine, end=2)]
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(
    # bfloat16 is too coarse for the STN's windows
    precision='float32',
    optimizer=dict(lr=5e-4),
    paramwise_cfg=dict(
        custom_keys={'.norm.': dict(lr_mult=20.0), 'stn.fc': dict(lr_mult=0.06)}
    ),
)
