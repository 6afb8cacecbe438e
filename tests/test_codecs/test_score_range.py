# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.codecs import score_range

SIZES = dict(input_size=(192, 256), heatmap_size=(48, 64))


@pytest.mark.parametrize(
    'codec',
    [
        dict(type='CPNHeatmap', kernel_size=7),
        dict(type='MegviiHeatmap', kernel_size=11),
        dict(type='MSRAHeatmap', sigma=2),
        dict(type='UDPHeatmap'),
    ],
    ids=lambda codec: codec['type'],
)
def test_is_the_range_of_decoded_scores(codec):
    codec = KEYPOINT_CODECS.build(dict(codec, **SIZES))
    keypoints = np.array([[[96.0, 128.0], [50.0, 60.0]]])
    heatmaps = codec.encode(keypoints, np.ones((1, 2)))['heatmaps']
    heatmaps[1] *= 1e-6  # no evidence
    _, scores = codec.decode(heatmaps)
    low, high = score_range(codec)
    np.testing.assert_allclose(scores, [[high, low]], atol=0.05)
