# SPDX-License-Identifier: Apache-2.0
from .pose_nms_coco_metric import PoseNMSCocoMetric

__all__ = ['PoseNMSCocoMetric']
