# SPDX-License-Identifier: Apache-2.0
"""From boxes to poses: crops, and the network with flip test and decoding."""

from .core_pool import CorePool, available_cores
from .crop_geometry import CropGeometry
from .decoding import DECODED_CODECS, tensor_decoder, unit_scores
from .estimation import estimate_poses, pose_instances
from .fusion import fuse_batch_norms, fuse_conv_norms
from .normalisation import network_color, normalise
from .people_cropper import Images, PeopleCropper
from .pose_graph import COLORS, PoseGraph
from .views import predicts_heatmaps

__all__ = [
    'COLORS',
    'CorePool',
    'CropGeometry',
    'DECODED_CODECS',
    'Images',
    'PeopleCropper',
    'PoseGraph',
    'available_cores',
    'estimate_poses',
    'fuse_batch_norms',
    'fuse_conv_norms',
    'network_color',
    'normalise',
    'pose_instances',
    'predicts_heatmaps',
    'tensor_decoder',
    'unit_scores',
]
