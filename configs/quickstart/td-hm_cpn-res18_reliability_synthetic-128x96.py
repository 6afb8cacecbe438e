# Reliability diagram of the keypoint scores: score against PCK.
_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

test_evaluator = [
    _base_.val_evaluator,
    dict(type='ScoreReliabilityMetric', out_dir='work_dirs/reliability'),
]
