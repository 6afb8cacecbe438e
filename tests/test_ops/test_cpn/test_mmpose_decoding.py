# SPDX-License-Identifier: Apache-2.0
"""The batched decoders against MMPose's codecs, which decode one person in NumPy."""

import cv2
import numpy as np
import pytest
import torch
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, UDPHeatmap

from rmpe_plugin.ops import (
    decode_dark,
    decode_dark_udp,
    decode_megvii,
    decode_quarter_offset,
)

SIZES = dict(input_size=(80, 96), heatmap_size=(20, 24))


def opencv_kernel(size):
    return torch.from_numpy(cv2.getGaussianKernel(size, 0)[:, 0])


# Codec, the batched decoder, and the codec's pixels per heatmap pixel.
CODECS = dict(
    msra=(MSRAHeatmap(**SIZES, sigma=2), decode_quarter_offset, 4),
    dark=(
        MSRAHeatmap(**SIZES, sigma=2, unbiased=True, blur_kernel_size=11),
        lambda maps: decode_dark(maps, opencv_kernel(11)),
        4,
    ),
    udp=(
        UDPHeatmap(**SIZES, blur_kernel_size=11),
        lambda maps: decode_dark_udp(maps, opencv_kernel(11)),
        np.array([80 / 19, 96 / 23]),
    ),
    # OpenCV tabulates this kernel.
    megvii=(
        MegviiHeatmap(**SIZES, kernel_size=5),
        lambda maps: decode_megvii(maps, opencv_kernel(5)),
        4,
    ),
)


def gaussians(rng, number, peak):
    """Heatmaps (number, 4, 24, 20): Gaussians at random places, also at the border."""
    y, x = np.mgrid[:24, :20]
    centres = rng.uniform(-1, [20, 24], (number, 4, 2))
    distance = np.hypot(x - centres[..., :1, None], y - centres[..., 1:, None])
    noise = rng.normal(0, 0.01, distance.shape)
    return (peak * (np.exp(-(distance**2) / 8) + noise)).astype(np.float32)


@pytest.mark.parametrize('name', CODECS)
def test_equals_codec_of_mmpose(name):
    codec, decode, scale = CODECS[name]
    maps = gaussians(np.random.default_rng(0), 50, 255 if name == 'megvii' else 1)
    keypoints, scores = decode(torch.from_numpy(maps))
    expected = [codec.decode(person) for person in maps]
    np.testing.assert_allclose(
        keypoints * torch.as_tensor(scale),
        np.concatenate([pose for pose, _ in expected]),
        atol=2e-3,
    )
    expected_scores = np.concatenate([score for _, score in expected])
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


@pytest.mark.parametrize('name', CODECS)
def test_maximum_at_each_pixel(name):
    """The rules at the border, for each position of the maximum."""
    codec, decode, scale = CODECS[name]
    y, x = np.mgrid[:24, :20].reshape(2, -1)
    maps = np.random.default_rng(0).uniform(0.2, 0.4, (480, 1, 24, 20))
    maps = maps.astype(np.float32)
    maps[np.arange(480), 0, y, x] = 1
    keypoints, _ = decode(torch.from_numpy(maps))
    expected = np.concatenate([codec.decode(person)[0] for person in maps])
    # The step is long where the Hessian is almost singular.
    np.testing.assert_allclose(
        keypoints * torch.as_tensor(scale), expected, atol=2e-3, rtol=1e-3
    )


@pytest.mark.parametrize('name', CODECS)
@pytest.mark.parametrize('value', [0.0, -1.0])
def test_heatmap_without_positive_value(name, value):
    _, decode, _ = CODECS[name]
    maps = torch.zeros(1, 2, 24, 20)
    maps[0, 0] = value
    maps[0, 1, 10, 10] = 1
    keypoints, scores = decode(maps)
    assert keypoints[0, 0].tolist() == [-1, -1]
    assert scores[0, 0] == (value / 255 + 0.5 if name == 'megvii' else value)
    assert keypoints[0, 1].round().tolist() in ([10, 10], [11, 11])


@pytest.mark.parametrize('name', CODECS)
def test_batches(name):
    _, decode, _ = CODECS[name]
    maps = torch.from_numpy(gaussians(np.random.default_rng(1), 3, 1))
    keypoints, scores = decode(maps)
    one, one_score = decode(maps[1:2])
    torch.testing.assert_close(one, keypoints[1:2])
    torch.testing.assert_close(one_score, scores[1:2])
    keypoints, scores = decode(maps[:0])
    assert keypoints.shape == (0, 4, 2)
    assert scores.shape == (0, 4)
