# SPDX-License-Identifier: Apache-2.0
"""How CPN reads keypoints off its heatmaps."""

import torch
from torch import Tensor


def _blur_matrix(size: int, kernel_size: int, device: torch.device) -> Tensor:
    """Gaussian blur along one axis as a banded (size, size) matrix, zeros outside."""
    # OpenCV's rule for the sigma that belongs to a kernel size.
    sigma = 0.3 * ((kernel_size - 1) * 0.5 - 1) + 0.8
    radius = kernel_size // 2
    step = torch.arange(-radius, radius + 1, dtype=torch.float64, device=device)
    total = torch.exp(-0.5 * (step / sigma) ** 2).sum()
    position = torch.arange(size, dtype=torch.float64, device=device)
    distance = position[:, None] - position
    weight = torch.exp(-0.5 * (distance / sigma) ** 2) / total
    return weight * (distance.abs() <= radius)


def heatmap_peaks(heatmaps: Tensor) -> Tensor:
    """Find every map's maximum, the first in row order where several are equal.

    Args:
        heatmaps (Tensor): Maps (..., H, W).

    Returns:
        Tensor: (x, y) of the maxima (..., 2), pixels, int64.

    Example:
        >>> heatmap_peaks(torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 3.0]]))
        tensor([2, 0])
    """
    index = heatmaps.flatten(-2).argmax(dim=-1)
    width = heatmaps.shape[-1]
    return torch.stack((index % width, index // width), dim=-1)


def decode_heatmaps(heatmaps: Tensor, blur_kernel_size: int = 21):
    """Decode heatmaps as CPN's testers do.

    The map is blurred; its maximum is moved a quarter of a pixel towards the second
    maximum of the whole map; the score is read off the map before the blur. Facts
    from github.com/chenyilun95/tf-cpn and github.com/GengDavid/pytorch-cpn, paper
    section 4.1. The work is done in float64 so that near ties fall the same way on
    every device and under autocast.

    Convention: coordinates are heatmap pixels, (0, 0) the centre of the first.

    Args:
        heatmaps (Tensor): Maps (B, K, H, W) whose targets peak at 255.
        blur_kernel_size (int): Odd width of the Gaussian blur, pixels. Defaults
            to 21.

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y), float64.
        - scores (B, K), value / 255 + 0.5. A map without any positive value, or
          with one that is not finite, holds no evidence: score 0, at pixel (0, 0).

    Raises:
        ValueError: If ``blur_kernel_size`` is not an odd positive number.
    """
    if blur_kernel_size < 1 or blur_kernel_size % 2 == 0:
        raise ValueError(
            f'blur_kernel_size must be odd and positive, got {blur_kernel_size}'
        )
    batch, num_keypoints, height, width = heatmaps.shape
    maps = heatmaps.detach().flatten(0, 1)
    peak, low = maps.amax(dim=(1, 2)).double(), maps.amin(dim=(1, 2)).double()
    # NaN fails both comparisons. Maps that fail are decoded too, and masked at the end.
    known = (peak > 0) & (peak - low).isfinite()

    blur_rows, blur_columns = (
        _blur_matrix(n, blur_kernel_size, maps.device) for n in (height, width)
    )
    blurred = blur_rows @ maps.double() @ blur_columns.T

    first = heatmap_peaks(blurred)
    index = first[:, 1] * width + first[:, 0]
    blurred.flatten(1).scatter_(1, index[:, None], 0)
    offset = (heatmap_peaks(blurred) - first).double()
    distance = offset.norm(dim=1, keepdim=True)
    # On a map that is flat apart from its peak the second maximum means nothing.
    keypoints = first + 0.25 * offset / distance.clamp(min=1)
    keypoints = keypoints * known[:, None]

    nearest = keypoints.round().long()
    pixel = nearest[:, 1] * width + nearest[:, 0]
    value = maps.flatten(1).gather(1, pixel[:, None])[:, 0].double()
    scores = torch.where(known, value / 255 + 0.5, 0.0)
    return keypoints.view(batch, num_keypoints, 2), scores.view(batch, num_keypoints)
