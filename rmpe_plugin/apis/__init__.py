# SPDX-License-Identifier: Apache-2.0
from .alphapose import alphapose_records
from .dataset_detection import (
    DetectorSettings,
    ImageDetections,
    detect_dataset,
    list_images,
)
from .detector import Detector, WholeImageDetector, detect_frames
from .frame import Frame, read_image
from .frames import Frames
from .image_writer import ImageWriter
from .json_list import JsonList
from .load_detector import WHOLE_IMAGE, load_detector
from .model_zoo import ZooModel, find_model, list_models
from .onnx_person_detector import OnnxPersonDetector
from .onnx_pose_estimator import OnnxPoseEstimator
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
from .tiled_detector import TiledDetector

__all__ = [
    'Detector',
    'DetectorSettings',
    'Frame',
    'Frames',
    'ImageDetections',
    'ImageWriter',
    'JsonList',
    'OnnxPersonDetector',
    'OnnxPoseEstimator',
    'PRECISIONS',
    'PersonDetector',
    'PoseDrawer',
    'PoseEstimator',
    'PoseExporter',
    'PoseResult',
    'RMPEInferencer',
    'TiledDetector',
    'TorchPoseEstimator',
    'WHOLE_IMAGE',
    'WholeImageDetector',
    'ZooModel',
    'alphapose_records',
    'detect_dataset',
    'detect_frames',
    'find_model',
    'list_images',
    'list_models',
    'load_detector',
    'load_pose_estimator',
    'read_image',
]
