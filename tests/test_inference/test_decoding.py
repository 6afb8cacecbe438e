# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.codecs import MegviiHeatmap, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.codecs import crop_pixels
from rmpe_plugin.inference import tensor_decoder, unit_scores

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

    keypoints, scores = tensor_decoder(codec)(torch.from_numpy(maps))
    expected = [codec.decode(person) for person in maps]
    expected_keypoints = np.concatenate([pose for pose, _ in expected])
    expected_scores = np.concatenate([score for _, score in expected])
    assert keypoints.dtype == torch.float32
    # The codec's unit; a pixel for all but UDPHeatmap.
    unit = crop_pixels(codec)
    np.testing.assert_allclose(keypoints, expected_keypoints * unit, atol=2e-3)
    np.testing.assert_allclose(scores, unit_scores(expected_scores, codec), atol=1e-5)


def test_keypoints_of_udp_are_in_pixels_of_the_crop():
    codec = KEYPOINT_CODECS.build(dict(CODECS['udp'], **SIZES))
    maps = codec.encode(np.array([[[42.0, 76.0]]]))['heatmaps']
    keypoints, _ = tensor_decoder(codec)(torch.from_numpy(maps)[None])
    np.testing.assert_allclose(keypoints[0, 0], [42, 76], atol=0.05)
    decoded = codec.decode(maps)[0][0, 0]
    np.testing.assert_allclose(decoded, [42 * 64 / 63, 76 * 96 / 95], atol=0.05)


@pytest.mark.parametrize('name', CODECS)
def test_scores_of_empty_and_perfect_heatmaps_are_0_and_1(name):
    codec = KEYPOINT_CODECS.build(dict(CODECS[name], **SIZES))
    keypoints = np.array([[[32.0, 48.0], [20.0, 60.0]]])
    maps = codec.encode(keypoints, np.ones((1, 2)))['heatmaps']
    maps[1] *= 1e-6  # no evidence
    _, scores = tensor_decoder(codec)(torch.from_numpy(maps)[None])
    np.testing.assert_allclose(scores, [[1, 0]], atol=0.1)
    np.testing.assert_allclose(
        unit_scores(codec.decode(maps)[1], codec), scores, atol=1e-6
    )


@pytest.mark.parametrize('base', [MegviiHeatmap, UDPHeatmap])
def test_subclasses_have_the_units_of_their_base(base):
    arguments = dict(kernel_size=7) if base is MegviiHeatmap else {}
    inherited = type('Inherited', (base,), {})(**SIZES, **arguments)
    codec = base(**SIZES, **arguments)
    scores = np.array([0.4, 0.5, 1.25, 1.6])
    np.testing.assert_array_equal(
        unit_scores(scores, inherited), unit_scores(scores, codec)
    )
    np.testing.assert_array_equal(crop_pixels(inherited), crop_pixels(codec))


@pytest.mark.parametrize(
    ('config', 'got'),
    [
        (
            dict(type='UDPHeatmap', heatmap_type='combined', **SIZES),
            "heatmap_type='combined'",
        ),
        (
            dict(type='SimCCLabel', input_size=(64, 96), use_dark=True),
            r'SimCCLabel\(use_dark=True, decode_visibility=False',
        ),
        (dict(type='IntegralRegressionLabel', sigma=2, **SIZES), 'IntegralRegression'),
    ],
)
def test_raises_on_other_codecs(config, got):
    with pytest.raises(ValueError, match=f'one of CPNHeatmap, .*got .*{got}'):
        tensor_decoder(KEYPOINT_CODECS.build(config))
