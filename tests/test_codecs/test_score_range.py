# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.codecs import MegviiHeatmap, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.codecs import score_range
from rmpe_plugin.codecs.crop_pixels import crop_pixels

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


@pytest.mark.parametrize('base', [MegviiHeatmap, UDPHeatmap])
def test_subclasses_have_the_units_of_their_base(base):
    arguments = dict(kernel_size=11) if base is MegviiHeatmap else {}
    inherited = type('Inherited', (base,), {})(**SIZES, **arguments)
    codec = base(**SIZES, **arguments)
    assert score_range(inherited) == score_range(codec)
    np.testing.assert_array_equal(crop_pixels(inherited), crop_pixels(codec))
    assert score_range(codec) != (0, 1) or (crop_pixels(codec) != 1).all()
