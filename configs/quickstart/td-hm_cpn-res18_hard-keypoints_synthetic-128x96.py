# Accuracy of GlobalNet and RefineNet by keypoint, visibility and crowding.
_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

model = dict(test_cfg=dict(output_global=True))
test_evaluator = [
    _base_.val_evaluator,
    dict(type='HardKeypointMetric', out_dir='work_dirs/hard_keypoints'),
]
