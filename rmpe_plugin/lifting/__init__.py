# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional poses of videos in the formats of lifting to three dimensions."""

from .clips import Clip, annotated_clips, parse_h36m_name, video_clip
from .formats import FORMATS, MISSING, choose_layout, write_poses
from .h36m_joints import coco_to_h36m
from .people import CHOICES, choose_person
from .pose_sequence import LAYOUTS, PoseSequence
from .video_poses import read_video_poses

__all__ = [
    'CHOICES',
    'FORMATS',
    'LAYOUTS',
    'MISSING',
    'Clip',
    'PoseSequence',
    'annotated_clips',
    'choose_layout',
    'choose_person',
    'coco_to_h36m',
    'parse_h36m_name',
    'read_video_poses',
    'video_clip',
    'write_poses',
]
