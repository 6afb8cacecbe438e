# SPDX-License-Identifier: Apache-2.0
from .hard_keypoint_metric import HardKeypointMetric
from .multi_person_map import MultiPersonMAP
from .pose_error_metric import PoseErrorMetric
from .pose_nms_coco_metric import PoseNMSCocoMetric
from .reliability_metric import ScoreReliabilityMetric
from .torso_pck import TorsoPCK
from .tracking_metrics import JointMOTA, PoseTrackingMetric
from .window_iou_metric import WindowIoUMetric

__all__ = [
    'HardKeypointMetric',
    'JointMOTA',
    'MultiPersonMAP',
    'PoseErrorMetric',
    'PoseNMSCocoMetric',
    'PoseTrackingMetric',
    'ScoreReliabilityMetric',
    'TorsoPCK',
    'WindowIoUMetric',
]
