# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of pose estimators: error types, their cost in AP, and examples."""

from .corrections import ap_gains, coco_ap, corrections, multi_person_map
from .diagnosis import Diagnosis
from .examples import Example, changed_people, worst_examples
from .poses import DiagnosedPoses, ImagePoses
from .report import ModelReport, Table, write_page

__all__ = [
    'DiagnosedPoses',
    'Diagnosis',
    'Example',
    'ImagePoses',
    'ModelReport',
    'Table',
    'ap_gains',
    'changed_people',
    'coco_ap',
    'corrections',
    'multi_person_map',
    'worst_examples',
    'write_page',
]
