# SPDX-License-Identifier: Apache-2.0
from mmpose.codecs import MegviiHeatmap
from mmpose.codecs.base import BaseKeypointCodec


def score_range(codec: BaseKeypointCodec) -> tuple[float, float]:
    """Return the range of the keypoint scores that a codec decodes.

    Args:
        codec (BaseKeypointCodec): A codec of this package or of MMPose.

    Returns:
        tuple[float, float]: Scores of a heatmap value of 0 and of the peak of a target.
    """
    # Scores of MMPose's other codecs are heatmap values.
    default = (0.5, 1.5) if isinstance(codec, MegviiHeatmap) else (0.0, 1.0)
    return getattr(codec, 'score_range', default)
