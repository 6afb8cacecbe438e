# SPDX-License-Identifier: Apache-2.0
from mmpose.codecs.base import BaseKeypointCodec

# Score ranges of MMPose's codecs whose scores are not heatmap values.
_MMPOSE = {'MegviiHeatmap': (0.5, 1.5)}


def score_range(codec: BaseKeypointCodec) -> tuple[float, float]:
    """Return the range of the keypoint scores that a codec decodes.

    Args:
        codec (BaseKeypointCodec): A codec of this package or of MMPose.

    Returns:
        tuple[float, float]: Scores of a heatmap value of 0 and of the peak of a target.
    """
    default = _MMPOSE.get(type(codec).__name__, (0.0, 1.0))
    return getattr(codec, 'score_range', default)
