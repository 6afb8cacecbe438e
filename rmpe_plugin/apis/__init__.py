# SPDX-License-Identifier: Apache-2.0
from .frames import Frame, Frames, read_picture
from .person_detector import PersonDetector
from .rmpe_inferencer import Posed, RMPEInferencer
from .writers import Artist, JsonList, PictureWriter, alphapose_records

__all__ = [
    'Artist',
    'Frame',
    'Frames',
    'JsonList',
    'PersonDetector',
    'PictureWriter',
    'Posed',
    'RMPEInferencer',
    'alphapose_records',
    'read_picture',
]
