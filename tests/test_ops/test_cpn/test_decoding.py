# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import decode_cpn


def loop_decode(heatmap, kernel_size=21):
    """Decode one heatmap step by step with OpenCV."""
    height, width = heatmap.shape
    border = kernel_size // 2
    padded = np.zeros((height + 2 * border, width + 2 * border))
    padded[border:-border, border:-border] = heatmap / heatmap.max()
    blurred = cv2.GaussianBlur(padded, (kernel_size, kernel_size), 0)
    blurred = blurred[border:-border, border:-border].copy()
    first = np.array(np.unravel_index(blurred.argmax(), blurred.shape))
    blurred[tuple(first)] = 0
    second = np.array(np.unravel_index(blurred.argmax(), blurred.shape))
    position = first + 0.25 * (second - first) / np.linalg.norm(second - first)
    pixel = np.round(position).astype(int)
    return position[::-1], heatmap[tuple(pixel)] / 255


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(3, 40), width=st.integers(3, 40))
def test_decoding_equals_opencv(seed, height, width):
    rng = np.random.default_rng(seed)
    maps = rng.uniform(0, 255, (1, 3, height, width))
    keypoints, scores = decode_cpn(torch.from_numpy(maps))
    for k in range(3):
        position, score = loop_decode(maps[0, k])
        np.testing.assert_allclose(keypoints[0, k], position, atol=1e-9)
        assert scores[0, k].item() == pytest.approx(score)


def test_decoding_equals_reference_implementation(golden, device, dtype):
    numbers = np.load(golden / 'cpn_decode.npz')
    maps = torch.from_numpy(numbers['heatmaps']).to(device, dtype)
    keypoints, scores = (x.cpu() for x in decode_cpn(maps))
    expected = numbers['keypoints_input_px']
    np.testing.assert_allclose(keypoints * 4 + 2, expected, atol=1e-4)
    # The references add 0.5.
    np.testing.assert_allclose(scores + 0.5, numbers['scores'], atol=1e-4)


@pytest.mark.parametrize('value', [0.0, -3.0, float('nan'), float('inf')])
def test_invalid_heatmap_has_score_zero(value, device, any_dtype):
    maps = torch.rand(1, 2, 8, 6, device=device).to(any_dtype)
    maps[0, 1] = 0
    maps[0, 1, 3, 3] = value
    keypoints, scores = decode_cpn(maps)
    assert scores[0, 1] == 0
    assert keypoints[0, 1].tolist() == [0, 0]
    assert scores[0, 0] > 0


def test_single_positive_pixel_is_not_moved_without_blur():
    maps = torch.full((1, 1, 8, 6), -1.0)
    maps[0, 0, 5, 2] = 255
    keypoints, scores = decode_cpn(maps, blur_kernel_size=1)
    assert keypoints.tolist() == [[[2.0, 5.0]]]
    assert scores.item() == 1


def test_empty_batch_and_single_pixel():
    keypoints, scores = decode_cpn(torch.zeros(0, 17, 8, 6))
    assert keypoints.shape == (0, 17, 2)
    assert scores.shape == (0, 17)
    keypoints, scores = decode_cpn(torch.full((1, 1, 1, 1), 255.0))
    assert keypoints.tolist() == [[[0.0, 0.0]]]
    assert scores.item() == 1


def test_autocast_does_not_change_result(device, dtype):
    maps = torch.rand(1, 3, 16, 12, device=device, dtype=dtype)
    expected = decode_cpn(maps)
    with torch.autocast(device.type, torch.bfloat16):
        actual = decode_cpn(maps)
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[1], expected[1])


def test_input_is_not_modified(device, any_dtype):
    maps = torch.rand(2, 3, 16, 12, device=device).to(any_dtype)
    before = maps.clone()
    decode_cpn(maps)
    assert torch.equal(maps, before)


def test_raises_on_even_kernel_size():
    with pytest.raises(ValueError, match='odd and positive, got 20'):
        decode_cpn(torch.zeros(1, 1, 2, 2), blur_kernel_size=20)
