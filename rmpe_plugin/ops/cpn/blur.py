# SPDX-License-Identifier: Apache-2.0
"""Gaussian blur of heatmaps with zero padding."""

import torch
from torch import Tensor


def gaussian_kernel(size: int, device: torch.device | None = None) -> Tensor:
    """Compute a Gaussian kernel whose sigma is OpenCV's default for its size.

    OpenCV itself uses tabulated values for a size of 9 and below, which differ by about
    1 %.

    Args:
        size (int): Width of the kernel, odd, pixels.
        device (torch.device, optional): Defaults to ``None``: torch's default.

    Returns:
        Tensor: The kernel (size,), float64. Its sum is 1.

    Raises:
        ValueError: If ``size`` is not odd and positive.

    Example:
        >>> gaussian_kernel(3).round(decimals=3)
        tensor([0.2390, 0.5220, 0.2390], dtype=torch.float64)
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(
            f'the size of a blur kernel must be odd and positive, got {size}'
        )
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    step = torch.arange(size, dtype=torch.float64, device=device) - size // 2
    kernel = torch.exp(-0.5 * (step / sigma) ** 2)
    return kernel / kernel.sum()


def _blur_matrix(size: int, kernel: Tensor) -> Tensor:
    """The blur along one axis as a matrix (size, size)."""
    radius = len(kernel) // 2
    position = torch.arange(size, device=kernel.device)
    step = position - position[:, None] + radius
    inside = (step >= 0) & (step < len(kernel))
    return kernel[step.clamp(0, len(kernel) - 1)] * inside


def blur_heatmaps(heatmaps: Tensor, kernel: Tensor) -> Tensor:
    """Blur heatmaps with a separable kernel. The padding is zero.

    Args:
        heatmaps (Tensor): Heatmaps (..., H, W).
        kernel (Tensor): Kernel of one axis (S,), S odd.

    Returns:
        Tensor: Blurred heatmaps (..., H, W), in the dtype of ``heatmaps``.

    Example:
        >>> impulse = torch.tensor([[0.0, 0.0, 4.0]])
        >>> blur_heatmaps(impulse, torch.tensor([0.25, 0.5, 0.25]))
        tensor([[0.0000, 0.5000, 1.0000]])
    """
    kernel = kernel.to(heatmaps)
    rows, columns = (_blur_matrix(size, kernel) for size in heatmaps.shape[-2:])
    # Autocast would round the products.
    with torch.autocast(heatmaps.device.type, enabled=False):
        return rows @ heatmaps @ columns.T
