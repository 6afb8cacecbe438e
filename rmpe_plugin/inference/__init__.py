# SPDX-License-Identifier: Apache-2.0
"""From inputs to poses: frames of images and videos, crops, and the network."""

from typing import TYPE_CHECKING

from rmpe_plugin.utils.lazy import lazy_names

from .core_pool import CorePool, available_cores
from .crop_geometry import CropGeometry
from .estimation import estimate_poses, pose_instances
from .frame import Frame, image_id_of, read_image
from .frame_sources import (
    FrameSource,
    ImageSource,
    MovingSource,
    Timeline,
    VideoSource,
    WebImageSource,
    open_source,
)
from .frames import Frames, Inputs
from .media_types import media_type
from .people_cropper import Images, PeopleCropper

# They import the models of MMPose, which an ONNX file does not need.
if TYPE_CHECKING:
    from .decoding import DECODED_CODECS, tensor_decoder, unit_scores
    from .fusion import fuse_batch_norms, fuse_conv_norms
    from .normalisation import network_color, normalise
    from .pose_graph import COLORS, PoseGraph
else:
    __getattr__ = lazy_names(
        __name__,
        dict(
            decoding=['DECODED_CODECS', 'tensor_decoder', 'unit_scores'],
            fusion=['fuse_batch_norms', 'fuse_conv_norms'],
            normalisation=['network_color', 'normalise'],
            pose_graph=['COLORS', 'PoseGraph'],
        ),
    )

__all__ = [
    'COLORS',
    'CorePool',
    'CropGeometry',
    'DECODED_CODECS',
    'Frame',
    'FrameSource',
    'Frames',
    'ImageSource',
    'Images',
    'Inputs',
    'MovingSource',
    'PeopleCropper',
    'PoseGraph',
    'Timeline',
    'VideoSource',
    'WebImageSource',
    'available_cores',
    'estimate_poses',
    'fuse_batch_norms',
    'fuse_conv_norms',
    'image_id_of',
    'media_type',
    'network_color',
    'normalise',
    'open_source',
    'pose_instances',
    'read_image',
    'tensor_decoder',
    'unit_scores',
]
