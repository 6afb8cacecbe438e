# A light, recent detector: RTMDet-tiny.
_base_ = [
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    '../../_base_/person.py',
]

model = dict(bbox_head=dict(num_classes=1))
train_dataloader = dict(dataset=_base_.person)
val_dataloader = dict(dataset=_base_.person)
test_dataloader = val_dataloader

# MMDetection's is 16
auto_scale_lr = dict(base_batch_size=256)
