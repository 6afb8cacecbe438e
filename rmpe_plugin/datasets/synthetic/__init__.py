# SPDX-License-Identifier: Apache-2.0
"""Synthetic people: a rendered COCO keypoint data set."""

from .body import KEYPOINTS, MPII_KEYPOINTS
from .coco import LAYOUTS, NOTICE, render_split, write_split
from .detector import detect_people
from .groups import GroupFrame, render_group
from .motion import Camera, MotionFrame, render_motion
from .person import Person
from .scene import DIFFICULTIES, Difficulty, render_scene
from .videos import write_group_videos, write_videos

__all__ = [
    'DIFFICULTIES',
    'KEYPOINTS',
    'LAYOUTS',
    'MPII_KEYPOINTS',
    'NOTICE',
    'Camera',
    'Difficulty',
    'GroupFrame',
    'MotionFrame',
    'Person',
    'detect_people',
    'render_group',
    'render_motion',
    'render_scene',
    'render_split',
    'write_group_videos',
    'write_split',
    'write_videos',
]
