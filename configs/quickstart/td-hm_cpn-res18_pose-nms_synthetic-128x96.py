_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

# parametric pose NMS with the boxes of the quickstart's detector
val_dataloader = dict(dataset=dict(bbox_file='work_dirs/detector/val_boxes.json'))
test_dataloader = val_dataloader
val_evaluator = dict(type='PoseNMSCocoMetric', pose_nms='alphapose-coco')
test_evaluator = val_evaluator
