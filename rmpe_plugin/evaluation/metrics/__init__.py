# SPDX-License-Identifier: Apache-2.0
from .pose_nms_coco_metric import PoseNMSCocoMetric
from .window_iou_metric import WindowIoUMetric

__all__ = ['PoseNMSCocoMetric', 'WindowIoUMetric']
