# The stacked Hourglass with 8 stacks on synthetic people with MPII's keypoints, see
# docs/pose_nms.md. The crops are small, so that a CPU can train it.
_base_ = '../rmpe/mpii/td-hm_hourglass-8stack_rmpe-stage1-pgpg-8xb1-30e_mpii-256x256.py'

input_size = (128, 128)
codec = dict(_base_.codec, input_size=input_size, heatmap_size=(32, 32))
model = dict(head=dict(decoder=codec))

# data
data_root = 'data/synthetic_mpii/'
resized = dict(
    TopdownAffine=dict(input_size=input_size),
    GenerateTarget=dict(encoder=codec),
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _base_.mpii_people,
        _delete_=True,
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        data_prefix=dict(img='val/'),
        bbox_file=data_root + 'annotations/person_detections_val.json',
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(
    type='MultiPersonMAP',
    ann_file=data_root + 'annotations/person_keypoints_val.json',
    pose_nms='rmpe-mpii',
)
test_evaluator = val_evaluator

# schedule
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=2,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(type='CPUBFloat16OptimWrapper')
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None))
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]
