# SPDX-License-Identifier: Apache-2.0
from .coco_records import (
    boxes_from_records,
    boxes_to_records,
    group_by_image,
    poses_from_records,
    poses_to_records,
)
from .person_scores import SCORE_MODES, person_scores
from .pose_nms import suppress_poses

__all__ = [
    'SCORE_MODES',
    'boxes_from_records',
    'boxes_to_records',
    'group_by_image',
    'person_scores',
    'poses_from_records',
    'poses_to_records',
    'suppress_poses',
]
