# A small CPN on synthetic people, trained from scratch on a CPU.
_base_ = '../_base_/cpn_coco-256x192.py'

input_size = (96, 128)
codec = [
    dict(c, input_size=input_size, heatmap_size=(24, 32), kernel_size=kernel_size)
    for c, kernel_size in zip(_base_.codec, (5, 7, 9, 11, 5))
]
model = dict(
    # narrow and without pretrained weights, so that nothing is downloaded
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=24,
        stem_channels=24,
        out_indices=(0, 1, 2, 3),
    ),
    head=dict(in_channels=[24, 48, 96, 192], feat_channels=48, decoder=codec[-1]),
)

# data
data_root = 'data/synthetic_people/'
resized = dict(
    TopdownAffine=dict(input_size=input_size),
    GenerateTarget=dict(encoder=codec),
    RandomBBoxTransform=dict(scale_factor=(0.85, 1.2), rotate_factor=15.0),
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(
    batch_size=16,
    # loading in the training process: worker processes would take its CPU cores
    num_workers=0,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        bbox_file=None,
        data_prefix=dict(img='val/'),
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val.json')
test_evaluator = val_evaluator

# schedule
train_cfg = dict(max_epochs=3, val_interval=3)
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(
    type='CPUBFloat16OptimWrapper',
    optimizer=dict(lr=8e-3),
    # The last norm of each stage must grow from 1 to the scale of heatmaps that peak at
    # 255, which needs larger steps in such a short training.
    paramwise_cfg=dict(custom_keys={'.norm.': dict(lr_mult=25.0)}),
)
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

# runtime
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ChannelsLastHook')]
