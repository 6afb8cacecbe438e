# Stage 2 on the synthetic people: the quickstart's CPN, trained on with an SSTN and
# the parallel SPPE on boxes perturbed as a detector would.
_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

load_from = 'work_dirs/quickstart/epoch_3.pth'

model = dict(
    type='SSTNPoseEstimator',
    # The localisation network looks for people from the start: it is stage 1's backbone.
    stn=dict(
        type='SpatialTransformer',
        backbone=dict(
            _base_.model.backbone,
            init_cfg=dict(type='Pretrained', checkpoint=load_from, prefix='backbone.'),
        ),
        in_channels=192,
    ),
    parallel=dict(loss_weight=1.0),
)
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ParallelSPPEHook')]

# pipelines
crop = _base_.val_pipeline[1]
jitter = dict(
    type='RandomBBoxTransform',
    shift_factor=0.12,
    shift_prob=1.0,
    scale_factor=(0.75, 1.35),
    rotate_prob=0.0,
)
affine = _base_.val_pipeline[2]
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RawVisibility'),
    crop,
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='KeepTrueBox'),
    jitter,
    affine,
    dict(type='TrueWindow'),
    dict(type='GenerateTarget', multilevel=True, encoder=_base_.codec),
    dict(type='GenerateCentredTarget', multilevel=True, encoder=_base_.codec),
    dict(type='PackSSTNInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
train_cfg = dict(max_epochs=2)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4),
    # The linear layer adds up thousands of features: small steps.
    paramwise_cfg=dict(
        custom_keys={
            'stn.fc': dict(lr_mult=0.2),
            'stn.backbone': dict(lr_mult=2.0),
        }
    ),
)
