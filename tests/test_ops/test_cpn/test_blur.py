# SPDX-License-Identifier: Apache-2.0
import cv2
import pytest
import torch
import torch.nn.functional as F

from rmpe_plugin.ops import blur_heatmaps, gaussian_kernel


@pytest.mark.parametrize('size', [11, 17, 21])
def test_kernel_equals_opencv(size, device):
    # OpenCV tabulates smaller kernels.
    expected = torch.from_numpy(cv2.getGaussianKernel(size, 0)[:, 0]).to(device)
    torch.testing.assert_close(gaussian_kernel(size, device), expected)


@pytest.mark.parametrize('size', [1, 3, 9])
def test_blur_equals_correlation_with_zero_padding(size, device, any_dtype):
    torch.manual_seed(0)
    maps, kernel = torch.rand(2, 3, 7, 5).to(any_dtype), torch.rand(size).to(any_dtype)
    padded = F.pad(maps.double(), [size // 2] * 4)
    expected = sum(
        kernel[i].item() * kernel[j].item() * padded[..., i : i + 7, j : j + 5]
        for i in range(size)
        for j in range(size)
    )
    actual = blur_heatmaps(maps.to(device), kernel.to(device))
    torch.testing.assert_close(actual, expected.to(device, any_dtype))


@pytest.mark.parametrize('size', [0, -1, 4])
def test_raises_on_even_or_empty_kernel(size):
    with pytest.raises(ValueError, match=f'odd and positive, got {size}'):
        gaussian_kernel(size)
