# AlphaPose's detector without spatial pyramid pooling, which MMDetection lacks.
_base_ = [
    'mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py',
    '../../_base_/person.py',
]

load_from = 'https://download.openmmlab.com/mmdetection/v2.0/yolo/yolov3_d53_mstrain-608_273e_coco/yolov3_d53_mstrain-608_273e_coco_20210518_115020-a2c3acb8.pth'  # noqa: E501

model = dict(bbox_head=dict(num_classes=1))
train_dataloader = dict(dataset=_base_.person)
val_dataloader = dict(dataset=_base_.person)
test_dataloader = val_dataloader
