# CPN-ResNet-50 on COCO at 256x192. Base of all CPN configs.
_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# runtime
train_cfg = dict(max_epochs=160, val_interval=10)

# optimizer: type, weight decay and schedule are tf-cpn's; the paper states SGD
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4, weight_decay=1e-5))

# learning policy: halved every 3.6 M samples (24 epochs of COCO's 150 k people), up to
# 24 M samples
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR',
        begin=0,
        end=160,
        milestones=[24, 48, 72, 96, 120, 144],
        gamma=0.5,
        by_epoch=True,
    ),
]
auto_scale_lr = dict(base_batch_size=256)

# hooks and seed: a run that is killed or fails on a full disk resumes with identical
# results
randomness = dict(seed=0)
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', save_best='coco/AP', rule='greater'),
    epoch_seed=dict(type='EpochSeedHook'),
)

# visualizer: the one of MMPose 1.3 fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

# codec settings: one per GlobalNet level, narrow to wide, and one for RefineNet
codec = [
    dict(
        type='CPNHeatmap',
        input_size=(192, 256),
        heatmap_size=(48, 64),
        kernel_size=kernel_size,
        occluded=occluded,
        separable=True,  # CPNHead multiplies the two factors of the targets
    )
    for kernel_size, occluded in [
        (7, 'empty'),
        (9, 'empty'),
        (11, 'empty'),
        (15, 'empty'),
        (7, 'keep'),
    ]
]

# model settings: the network of pytorch-cpn
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[122.7717, 115.9465, 102.9801],
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    head=dict(
        type='CPNHead',
        in_channels=[256, 512, 1024, 2048],
        out_channels=17,
        refine_net=dict(type='RefineNet', num_bottlenecks=(0, 1, 2, 3)),
        global_loss=dict(
            type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5
        ),
        loss=dict(type='OHKMMSELoss', use_target_weight=True, topk=8),
        decoder=codec[-1],
    ),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False),
)

# base dataset settings: invalid annotations and detections, and truncated images, raise
data_mode = 'topdown'
data_root = 'data/coco/'

# pipelines
train_pipeline = [
    dict(type='LoadIntactImage'),
    dict(type='RawVisibility'),
    dict(type='CPNBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0.0,
        scale_factor=(0.7, 1.35),
        rotate_factor=45.0,
        rotate_prob=0.5,
    ),
    dict(type='TopdownAffine', input_size=codec[0]['input_size']),
    dict(type='GenerateTarget', multilevel=True, encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadIntactImage'),
    dict(type='CPNBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec[0]['input_size']),
    dict(type='PackPoseInputs'),
]

# data loaders
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,  # EpochSeedHook needs new workers in every epoch
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CheckedCocoDataset',
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='CheckedCocoDataset',
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/person_keypoints_val2017.json',
        bbox_file='data/coco/person_detection_results/'
        'COCO_val2017_detections_AP_H_56_person.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

# evaluators: the paper applies NMS to boxes, not to poses
val_evaluator = dict(
    type='PoseNMSCocoMetric',
    score_offset=0.5,  # in the ranking of people, as in tf-cpn and pytorch-cpn
    ann_file=data_root + 'annotations/person_keypoints_val2017.json',
    nms_mode='none',
)
test_evaluator = val_evaluator
