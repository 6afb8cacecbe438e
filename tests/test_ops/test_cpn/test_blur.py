# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch

from rmpe_plugin.ops import blur_heatmaps, gaussian_kernel


@pytest.mark.parametrize('size', [11, 17, 21])
def test_kernel_equals_opencv(size):
    # OpenCV tabulates smaller kernels.
    expected = cv2.getGaussianKernel(size, 0)[:, 0]
    np.testing.assert_allclose(gaussian_kernel(size), expected, atol=1e-12)


@pytest.mark.parametrize('size', [1, 3, 9])
def test_blur_equals_correlation_with_zero_padding(size):
    torch.manual_seed(0)
    maps = torch.rand(2, 3, 7, 5, dtype=torch.float64)
    kernel = torch.rand(size, dtype=torch.float64)
    padding = size // 2
    padded = np.pad(maps.numpy(), [(0, 0), (0, 0), (padding,) * 2, (padding,) * 2])
    expected = sum(
        kernel[i].item() * kernel[j].item() * padded[..., i : i + 7, j : j + 5]
        for i in range(size)
        for j in range(size)
    )
    np.testing.assert_allclose(blur_heatmaps(maps, kernel), expected, atol=1e-12)


@pytest.mark.parametrize('size', [0, -1, 4])
def test_raises_on_even_or_empty_kernel(size):
    with pytest.raises(ValueError, match=f'odd and positive, got {size}'):
        gaussian_kernel(size)
