# SPDX-License-Identifier: Apache-2.0
from .coco import (
    area_of,
    boxes_from_records,
    boxes_to_records,
    group_by_image,
    is_evaluated,
    make_annotation,
    make_detection,
    poses_from_records,
    poses_to_records,
    read_annotations,
    read_coco,
    read_results,
    reference_length,
    require_images,
    require_keypoints,
    require_keys,
)
from .person_scores import SCORE_MODES, person_scores
from .pose_nms import suppress_poses

__all__ = [
    'SCORE_MODES',
    'area_of',
    'boxes_from_records',
    'boxes_to_records',
    'group_by_image',
    'is_evaluated',
    'make_annotation',
    'make_detection',
    'person_scores',
    'poses_from_records',
    'poses_to_records',
    'read_annotations',
    'read_coco',
    'read_results',
    'reference_length',
    'require_images',
    'require_keypoints',
    'require_keys',
    'suppress_poses',
]
