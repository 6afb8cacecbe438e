# A small detector of synthetic people, trained from scratch on a CPU.
_base_ = '../detection/coco/rtmdet-tiny_8xb32-300e_coco-person.py'

norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(widen_factor=0.25, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256], out_channels=64, norm_cfg=norm_cfg),
    # exponential distances learn faster than RTMDet-tiny's linear ones
    bbox_head=dict(
        in_channels=64, feat_channels=64, norm_cfg=norm_cfg, exp_on_reg=True
    ),
)

# data
data_root = 'data/synthetic_people/'
grey = dict(img=(114, 114, 114))
load = dict(type='LoadImageFromFile')
annotate = dict(type='LoadAnnotations', with_bbox=True)
resize = dict(type='Resize', scale=(160, 160), keep_ratio=True)
pad = dict(type='Pad', size_divisor=32, pad_val=grey)
train_pipeline = [
    load,
    annotate,
    resize,
    dict(type='RandomFlip', prob=0.5),
    pad,
    dict(type='PackDetInputs'),
]
test_pipeline = [
    load,
    resize,
    pad,
    annotate,
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val.json')
test_evaluator = val_evaluator

# schedule
randomness = dict(seed=0)
train_cfg = dict(max_epochs=2, val_interval=2, dynamic_intervals=None)
optim_wrapper = dict(type='mmpose.CPUBFloat16OptimWrapper', optimizer=dict(lr=4e-3))
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=2,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(checkpoint=dict(interval=1))
custom_hooks = [dict(type='mmpose.ChannelsLastHook')]
