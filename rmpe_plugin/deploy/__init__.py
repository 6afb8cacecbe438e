# SPDX-License-Identifier: Apache-2.0
"""Export of pose estimators and detectors to ONNX, and loading of these files."""

from .comparison import PoseErrors, dataset_crops, pytorch_poses, run_in_batches
from .detector_comparison import DetectionComparison, compare_detections
from .detector_graph import PersonDetectorGraph
from .formats import (
    DTYPES,
    HeatmapFormat,
    HeatmapGraph,
    PoseFormat,
    RTMLibFormat,
)
from .letterboxing import letterbox, letterbox_ratio
from .metadata import PoseMetadata
from .onnx_export import write_onnx
from .quantization import quantize_onnx
from .rtmlib_graph import RTMLibGraph
from .session import open_session, read_metadata, supported_device

__all__ = [
    'DTYPES',
    'DetectionComparison',
    'HeatmapFormat',
    'HeatmapGraph',
    'PersonDetectorGraph',
    'PoseErrors',
    'PoseFormat',
    'PoseMetadata',
    'RTMLibFormat',
    'RTMLibGraph',
    'compare_detections',
    'dataset_crops',
    'letterbox',
    'letterbox_ratio',
    'open_session',
    'pytorch_poses',
    'quantize_onnx',
    'read_metadata',
    'run_in_batches',
    'supported_device',
    'write_onnx',
]
