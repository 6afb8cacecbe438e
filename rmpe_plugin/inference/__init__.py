# SPDX-License-Identifier: Apache-2.0
"""From inputs to poses: frames of images and videos, crops, and the network."""

from .core_pool import CorePool, available_cores
from .crop_geometry import CropGeometry
from .decoding import DECODED_CODECS, tensor_decoder, unit_scores
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
from .fusion import fuse_batch_norms, fuse_conv_norms
from .media_types import media_type
from .normalisation import network_color, normalise
from .people_cropper import Images, PeopleCropper
from .pose_graph import COLORS, PoseGraph

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
