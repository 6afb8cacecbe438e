# SPDX-License-Identifier: Apache-2.0
from .pose_nms import alphapose_person_scores, suppress_poses

__all__ = ['alphapose_person_scores', 'suppress_poses']
