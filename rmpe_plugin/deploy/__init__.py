# SPDX-License-Identifier: Apache-2.0
"""Export of pose estimators and detectors to ONNX, and loading of these files."""

from typing import TYPE_CHECKING

from rmpe_plugin.utils.lazy import lazy_names

from .letterboxing import letterbox, letterbox_ratio
from .metadata import PoseMetadata
from .onnx_export import write_onnx
from .quantization import quantize_onnx
from .session import open_session, read_metadata, supported_device

# They import the models of MMPose or MMDetection, which an ONNX file does not need.
if TYPE_CHECKING:
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
    from .rtmlib_graph import RTMLibGraph
else:
    __getattr__ = lazy_names(
        __name__,
        dict(
            comparison=[
                'PoseErrors', 'dataset_crops', 'pytorch_poses', 'run_in_batches'
            ],
            detector_comparison=['DetectionComparison', 'compare_detections'],
            detector_graph=['PersonDetectorGraph'],
            formats=[
                'DTYPES', 'HeatmapFormat', 'HeatmapGraph', 'PoseFormat', 'RTMLibFormat'
            ],
            rtmlib_graph=['RTMLibGraph'],
        ),
    )  # fmt: skip

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
