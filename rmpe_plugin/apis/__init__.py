# SPDX-License-Identifier: Apache-2.0
from typing import TYPE_CHECKING

from rmpe_plugin.inference import Frame, Frames, read_image
from rmpe_plugin.utils.lazy import lazy_names
from rmpe_plugin.utils.model_zoo import (
    ListedModel,
    ZooDetector,
    ZooModel,
    find_detector,
    find_model,
    included_models,
    is_model_name,
    list_models,
)

from .alphapose import alphapose_records
from .dataset_detection import (
    DetectorSettings,
    ImageDetections,
    detect_dataset,
    list_images,
)
from .detector import Detector, WholeImageDetector, detect_frames
from .detector_loading import WHOLE_IMAGE, load_detector
from .estimator_loading import load_estimator
from .image_writer import ImageWriter
from .json_list import JsonList
from .min_area_detector import MinAreaDetector
from .mot import MotWriter
from .onnx_cache import cache_folder, cached_onnx
from .onnx_person_detector import OnnxPersonDetector
from .onnx_pose_estimator import OnnxPoseEstimator
from .openpose import OPENPOSE_FORMATS, OpenPoseWriter
from .pose_drawer import COLOR_BY, PoseDrawer
from .pose_estimator import PRECISIONS, PoseEstimator
from .pose_exporter import PoseExporter
from .result_writer import ResultWriter
from .rmpe_inferencer import PoseResult, RMPEInferencer
from .tiled_detector import TiledDetector

# They import the models of MMDetection and MMPose, which an ONNX file does not need.
if TYPE_CHECKING:
    from .person_detector import PersonDetector
    from .torch_pose_estimator import TorchPoseEstimator, load_pose_estimator
else:
    __getattr__ = lazy_names(
        __name__,
        dict(
            person_detector=['PersonDetector'],
            torch_pose_estimator=['TorchPoseEstimator', 'load_pose_estimator'],
        ),
    )

__all__ = [
    'COLOR_BY',
    'Detector',
    'DetectorSettings',
    'Frame',
    'Frames',
    'ImageDetections',
    'ImageWriter',
    'JsonList',
    'ListedModel',
    'MinAreaDetector',
    'MotWriter',
    'OPENPOSE_FORMATS',
    'OnnxPersonDetector',
    'OnnxPoseEstimator',
    'OpenPoseWriter',
    'PRECISIONS',
    'PersonDetector',
    'PoseDrawer',
    'PoseEstimator',
    'PoseExporter',
    'PoseResult',
    'RMPEInferencer',
    'ResultWriter',
    'TiledDetector',
    'TorchPoseEstimator',
    'WHOLE_IMAGE',
    'WholeImageDetector',
    'ZooDetector',
    'ZooModel',
    'alphapose_records',
    'cache_folder',
    'cached_onnx',
    'detect_dataset',
    'detect_frames',
    'find_detector',
    'find_model',
    'included_models',
    'is_model_name',
    'list_images',
    'list_models',
    'load_detector',
    'load_estimator',
    'load_pose_estimator',
    'read_image',
]
