_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

# parametric pose NMS on what the simulated detections give
val_dataloader = dict(
    dataset=dict(bbox_file=_base_.data_root + 'annotations/person_detections_val.json')
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PoseNMSCocoMetric', pose_nms=dict(preset='rmpe-paper'))
test_evaluator = val_evaluator
