# SPDX-License-Identifier: Apache-2.0
from .alphapose import alphapose_records
from .artist import Artist
from .dataset_detection import DatasetDetection, list_images
from .frame import Frame, read_picture
from .frames import Frames
from .json_list import JsonList
from .parallel_detection import DetectorSettings
from .person_detector import PersonDetector
from .picture_writer import PictureWriter
from .pose_exporter import PoseExporter
from .rmpe_inferencer import Posed, RMPEInferencer

__all__ = [
    'Artist',
    'DatasetDetection',
    'DetectorSettings',
    'Frame',
    'Frames',
    'JsonList',
    'PersonDetector',
    'PictureWriter',
    'PoseExporter',
    'Posed',
    'RMPEInferencer',
    'alphapose_records',
    'list_images',
    'read_picture',
]
