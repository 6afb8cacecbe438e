# SPDX-License-Identifier: Apache-2.0
import numpy as np
from mmpose.codecs import UDPHeatmap
from mmpose.codecs.base import BaseKeypointCodec


def crop_pixels(codec: BaseKeypointCodec) -> np.ndarray:
    """Return the unit of the keypoints that a codec decodes, in pixels of the crop.

    ``UDPHeatmap`` measures coordinates from the first to the last pixel, a distance of
    ``input_size - 1``, and scales them to ``input_size``, because MMPose divides by
    ``input_size`` afterwards. The keypoints of other codecs are in pixels.

    Args:
        codec (BaseKeypointCodec): A codec of this package or of MMPose.

    Returns:
        np.ndarray: Units (x, y), (2,), float32.
    """
    if not isinstance(codec, UDPHeatmap):
        return np.ones(2, np.float32)
    size = np.asarray(codec.input_size, np.float32)
    return (size - 1) / size
