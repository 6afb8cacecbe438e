# SPDX-License-Identifier: Apache-2.0
"""Synthetic people: a rendered COCO keypoint data set."""

from .body import KEYPOINTS
from .coco import NOTICE, render_split, write_split
from .detector import detect_people
from .person import Person
from .scene import DIFFICULTIES, Difficulty, render_scene

__all__ = [
    'DIFFICULTIES',
    'KEYPOINTS',
    'NOTICE',
    'Difficulty',
    'Person',
    'detect_people',
    'render_scene',
    'render_split',
    'write_split',
]
