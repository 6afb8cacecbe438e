# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.codecs import crop_pixels
from rmpe_plugin.codecs.tensor_decoder import TensorDecoder

SIZES = dict(input_size=(64, 96), heatmap_size=(16, 24))
CODECS = dict(
    cpn=dict(type='CPNHeatmap', kernel_size=5),
    megvii=dict(type='MegviiHeatmap', kernel_size=7),
    msra=dict(type='MSRAHeatmap', sigma=2),
    dark=dict(type='MSRAHeatmap', sigma=2, unbiased=True),
    udp=dict(type='UDPHeatmap', sigma=2),
)


@pytest.mark.parametrize('name', CODECS)
def test_decodes_as_the_codec(name):
    codec = KEYPOINT_CODECS.build(dict(CODECS[name], **SIZES))
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :16]
    centres = rng.uniform(0, [16, 24], (40, 5, 2))
    distance = np.hypot(x - centres[..., :1, None], y - centres[..., 1:, None])
    maps = np.exp(-(distance**2) / 8) + rng.normal(0, 0.01, distance.shape)
    maps = (maps * (255 if name in ('cpn', 'megvii') else 1)).astype(np.float32)

    keypoints, scores = TensorDecoder(codec)(torch.from_numpy(maps))
    expected = [codec.decode(person) for person in maps]
    expected_keypoints = np.concatenate([pose for pose, _ in expected])
    expected_scores = np.concatenate([score for _, score in expected])
    assert keypoints.dtype == torch.float32
    # The codec's unit; a pixel for all but UDPHeatmap.
    unit = crop_pixels(codec)
    np.testing.assert_allclose(keypoints, expected_keypoints * unit, atol=2e-3)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


def test_keypoints_of_udp_are_in_pixels_of_the_crop():
    codec = KEYPOINT_CODECS.build(dict(CODECS['udp'], **SIZES))
    maps = codec.encode(np.array([[[42.0, 76.0]]]))['heatmaps']
    keypoints, _ = TensorDecoder(codec)(torch.from_numpy(maps)[None])
    np.testing.assert_allclose(keypoints[0, 0], [42, 76], atol=0.05)
    decoded = codec.decode(maps)[0][0, 0]
    np.testing.assert_allclose(decoded, [42 * 64 / 63, 76 * 96 / 95], atol=0.05)


@pytest.mark.parametrize(
    ('config', 'got'),
    [
        (
            dict(type='UDPHeatmap', heatmap_type='combined', **SIZES),
            "heatmap_type='combined'",
        ),
        (dict(type='RegressionLabel', input_size=(64, 96)), 'RegressionLabel'),
    ],
)
def test_raises_on_other_codecs(config, got):
    with pytest.raises(ValueError, match=f'one of CPNHeatmap, .*got .*{got}'):
        TensorDecoder(KEYPOINT_CODECS.build(config))
