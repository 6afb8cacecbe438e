# SPDX-License-Identifier: Apache-2.0
from mmpose.codecs.base import BaseKeypointCodec

# Of MMPose's codecs whose keypoint scores are not the value of the heatmap.
_MMPOSE = {'MegviiHeatmap': (0.5, 1.5)}


def score_range(codec: BaseKeypointCodec) -> tuple[float, float]:
    """Return the range of the keypoint scores that a codec decodes.

    Args:
        codec (BaseKeypointCodec): A codec of this package or of MMPose.

    Returns:
        tuple[float, float]: Score of an empty heatmap, and of a heatmap that equals its
        target.
    """
    default = _MMPOSE.get(type(codec).__name__, (0.0, 1.0))
    return getattr(codec, 'score_range', default)
