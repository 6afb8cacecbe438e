# SPDX-License-Identifier: Apache-2.0
"""COCO annotations and results: reading, validation and conversion."""

from .files import (
    check_annotations,
    is_plain_text,
    iterate_results,
    read_annotations,
    read_coco,
    read_images,
    read_results,
    require_categories,
    require_images,
    require_keypoints,
    require_keys,
)
from .image_matching import match_frames, match_images
from .people import (
    PERSON_CATEGORY,
    area_of,
    is_evaluated,
    labelled_keypoints,
    reference_length,
)
from .person_boxes import read_person_boxes
from .records import (
    boxes_from_records,
    boxes_to_records,
    group_by_image,
    make_annotation,
    make_detection,
    poses_from_records,
    poses_to_records,
)
from .tracks import AnnotatedVideo, read_tracks

__all__ = [
    'AnnotatedVideo',
    'PERSON_CATEGORY',
    'area_of',
    'boxes_from_records',
    'boxes_to_records',
    'check_annotations',
    'group_by_image',
    'is_evaluated',
    'is_plain_text',
    'iterate_results',
    'labelled_keypoints',
    'make_annotation',
    'make_detection',
    'match_frames',
    'match_images',
    'poses_from_records',
    'poses_to_records',
    'read_annotations',
    'read_coco',
    'read_images',
    'read_person_boxes',
    'read_results',
    'read_tracks',
    'reference_length',
    'require_categories',
    'require_images',
    'require_keypoints',
    'require_keys',
]
