# SPDX-License-Identifier: Apache-2.0
"""Synthetic people: a rendered COCO keypoint data set."""

from .body import KEYPOINTS, MPII_KEYPOINTS
from .coco import LAYOUTS, NOTICE, render_split, write_split
from .detector import detect_people
from .motion import Camera, MotionFrame, render_motion
from .person import Person
from .scene import DIFFICULTIES, Difficulty, render_scene
from .videos import write_videos

__all__ = [
    'DIFFICULTIES',
    'KEYPOINTS',
    'LAYOUTS',
    'MPII_KEYPOINTS',
    'NOTICE',
    'Camera',
    'Difficulty',
    'MotionFrame',
    'Person',
    'detect_people',
    'render_motion',
    'render_scene',
    'render_split',
    'write_split',
    'write_videos',
]
