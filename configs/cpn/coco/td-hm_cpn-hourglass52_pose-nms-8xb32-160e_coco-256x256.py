_base_ = 'td-hm_cpn-hourglass52_8xb32-160e_coco-256x256.py'

# parametric pose NMS of the poses of all detected boxes
val_evaluator = dict(type='PoseNMSCocoMetric', pose_nms='alphapose-coco')
test_evaluator = val_evaluator
