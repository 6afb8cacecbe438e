# CPN's detector: FPN with RoIAlign and Soft-NMS. The paper trains on all 80 categories
# and uses the detected people; this config starts from such weights.
_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_soft-nms_1x_coco.py',
    '../../_base_/person.py',
]

load_from = 'https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/faster_rcnn_r50_fpn_1x_coco/faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth'  # noqa: E501

model = dict(roi_head=dict(bbox_head=dict(num_classes=1)))
train_dataloader = dict(dataset=_base_.person)
val_dataloader = dict(dataset=_base_.person)
test_dataloader = val_dataloader
