# SPDX-License-Identifier: Apache-2.0
from .alphapose import alphapose_records
from .dataset_detection import DatasetDetection, list_images
from .frame import Frame, read_image
from .frames import Frames
from .image_writer import ImageWriter
from .json_list import JsonList
from .model_zoo import ZooModel, find_model, list_models
from .onnx_pose_estimator import OnnxPoseEstimator
from .parallel_detection import DetectorSettings
from .person_detector import PersonDetector
from .pose_drawer import PoseDrawer
from .pose_estimator import (
    PRECISIONS,
    PoseEstimator,
    TorchPoseEstimator,
    load_pose_estimator,
)
from .pose_exporter import PoseExporter
from .rmpe_inferencer import PoseResult, RMPEInferencer

__all__ = [
    'DatasetDetection',
    'DetectorSettings',
    'Frame',
    'Frames',
    'ImageWriter',
    'JsonList',
    'OnnxPoseEstimator',
    'PRECISIONS',
    'PersonDetector',
    'PoseDrawer',
    'PoseEstimator',
    'PoseExporter',
    'PoseResult',
    'RMPEInferencer',
    'TorchPoseEstimator',
    'ZooModel',
    'alphapose_records',
    'find_model',
    'list_images',
    'list_models',
    'load_pose_estimator',
    'read_image',
]
