# CPN-ResNet-50, fine-tuned from COCO on Human3.6M's 17 joints, as published for the
# detections cpn_ft_h36m_dbb of VideoPose3D. Set custom_hooks.0.checkpoint.
_base_ = '../../_base_/cpn_coco-384x288.py'

# runtime: 12,000 steps of 32 people
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=12000, val_interval=12000
)
optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[6000, 10000], gamma=0.1, by_epoch=False)
]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=2000, save_best='PCK', rule='greater')
)
auto_scale_lr = dict(base_batch_size=32)
log_processor = dict(by_epoch=False)

# the layers with one channel per keypoint start anew
custom_hooks = [
    dict(
        type='FinetuneHook',
        checkpoint='work_dirs/cpn_coco.pth',
        reinitialize=[
            r'head\.global_net\.predictors\.\d\.(conv|norm)\.',
            r'head\.refine_net\.(conv|norm)\.',
        ],
    )
]
model = dict(backbone=dict(init_cfg=None))

# data: annotations of rmpe convert h36m
data_root = 'data/h36m/'
metainfo = dict(from_file='configs/_base_/datasets/h36m.py')
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/h36m_coco_train.json',
        data_prefix=dict(img='images/'),
    ),
)
# for the boxes of a detector, set bbox_file to the output of rmpe detect
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/h36m_coco_test.json',
        bbox_file=None,
        data_prefix=dict(img='images/'),
    )
)
test_dataloader = val_dataloader

# evaluators: distance of 5 % of the box, and in pixels
val_evaluator = [
    dict(type='PCKAccuracy', thr=0.05),
    dict(type='EPE'),
]
test_evaluator = val_evaluator
