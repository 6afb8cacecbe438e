# Stage 1 of RMPE as published: a stacked Hourglass with 8 stacks on proposals.
_base_ = [
    'mmpose::_base_/default_runtime.py',
    '../../_base_/rmpe.py',
    '../../_base_/rmpe_mpii.py',
]

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: the one of MMPose 1.3 fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

# codec settings
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=1)

# model settings
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    # The published stack: four downsamplings, 256 channels, one block per size. MMPose's
    # default stack has five, up to 512 channels and two to four blocks.
    backbone=dict(
        type='HourglassNet',
        num_stacks=8,
        downsample_times=4,
        stage_channels=(256,) * 5,
        stage_blocks=(1,) * 5,
    ),
    head=dict(
        type='CPMHead',
        in_channels=256,
        out_channels=16,
        num_stages=8,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True),
)

# pipelines: boxes are extended by 30 %; colours are the only augmentation but flips and
# proposals
box = dict(type='GetBBoxCenterScale', padding=1.3)
affine = dict(type='TopdownAffine', input_size=codec['input_size'])
train_pipeline = [
    dict(type='LoadIntactImage'),
    dict(type='PoseGuidedProposal', model='alphapose'),
    box,
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomChannelGain', low=0.6, high=1.4),
    affine,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [dict(type='LoadIntactImage'), box, affine, dict(type='PackPoseInputs')]

# data loaders
train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,  # EpochSeedHook needs new workers in every epoch
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(_base_.mpii_train, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(_base_.mpii_single, pipeline=val_pipeline),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(_base_.mpii_test, pipeline=val_pipeline)
)

# evaluators
val_evaluator = dict(type='MpiiPCKAccuracy')
test_evaluator = _base_.multi_person_map

# schedule
train_cfg = _base_.mpii_epochs
param_scheduler = _base_.mpii_scheduler
optim_wrapper = dict(optimizer=dict(type='RMSprop', lr=2.5e-4, alpha=0.99))
auto_scale_lr = dict(base_batch_size=8)

# hooks and seed: a run that is killed or fails on a full disk resumes with identical
# results
randomness = dict(seed=0)
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', save_best='PCK', rule='greater'),
    epoch_seed=dict(type='EpochSeedHook'),
)
