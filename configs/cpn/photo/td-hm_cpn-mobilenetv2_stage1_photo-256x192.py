# A light CPN for COCO's 17 keypoints on the backbone and the feature pyramid of MoveNet
# Thunder. Stage 1 trains the head, on LSP-Extended and on a CPU.
_base_ = '../../_base_/cpn_coco-256x192.py'

# experiments/movenet.py writes it
load_from = 'data/photo/movenet.pth'

# keypoints without a label are ignored at all levels
codec = [dict(c, occluded='keep') for c in _base_.codec]
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        _delete_=True,
        type='MobileNetV2Pyramid',
        widen_factor=1.75,
        out_indices=(1, 2, 3, 6),
        frozen_stages=7,
        norm_eval=True,
    ),
    neck=dict(type='SeparableFPN', in_channels=[40, 56, 112, 560], frozen=True),
    head=dict(
        in_channels=[64, 80, 144, 624],
        feat_channels=64,
        loss=dict(topk=17),
        decoder=codec[-1],
    ),
)

# data: experiments/label_photographs.py writes them
data_root = 'data/photo/'
train_pipeline = [
    dict(type='LoadIntactImage'),
    dict(type='RawVisibility'),
    dict(type='CPNBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomHalfBody',
        prob=0.3,
        min_total_keypoints=9,
        min_upper_keypoints=3,
        min_lower_keypoints=3,
    ),
    dict(
        type='RandomBBoxTransform',
        shift_prob=0.3,
        shift_factor=0.12,
        scale_factor=(0.7, 1.35),
        rotate_factor=45.0,
        rotate_prob=0.5,
    ),
    dict(type='TopdownAffine', input_size=codec[0]['input_size']),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='GenerateTarget', multilevel=True, encoder=codec),
    dict(type='PackPoseInputs'),
]
dataset = dict(data_root=data_root, data_prefix=dict(img=''))
train_dataloader = dict(
    num_workers=1,
    dataset=dict(dataset, ann_file='train.json', pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(dataset, ann_file='val.json', bbox_file=None),
)
test_dataloader = val_dataloader
joints = [
    f'{side}_{joint}'
    for side in ('right', 'left')
    for joint in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
]
val_evaluator = [
    dict(type='TorsoPCK', joints=joints),
    dict(_base_.val_evaluator, ann_file=data_root + 'val.json'),
]
test_evaluator = val_evaluator

# schedule
train_cfg = dict(max_epochs=5, val_interval=5)
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(
    type='CPUBFloat16OptimWrapper',
    optimizer=dict(lr=1e-3),
    # The last norm of each stage must grow from 1 to the scale of heatmaps that peak at
    # 255.
    paramwise_cfg=dict(custom_keys={'.norm.': dict(lr_mult=50.0)}),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=300, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=5,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None),
    logger=dict(interval=50),
)

# runtime
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ChannelsLastHook')]
