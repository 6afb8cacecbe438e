# SPDX-License-Identifier: Apache-2.0
"""Decoding of MMPose's heatmap codecs, for a batch and on the device of the heatmaps.

The formulas are those of MMPose's codecs, which decode one person at a time in NumPy.
"""

import torch
from torch import Tensor

from .blur import blur_heatmaps
from .decoding import heatmap_peaks


def _maximum(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (B, K, 2), (-1, -1) as in MMPose if not positive, and values (B, K)."""
    scores = heatmaps.amax(dim=(-2, -1))
    peaks = heatmap_peaks(heatmaps)
    return torch.where((scores > 0)[..., None], peaks, -1), scores


def _neighbours(heatmaps: Tensor, pixels: Tensor, radius: int) -> Tensor:
    """Values (2 * radius + 1, 2 * radius + 1, B, K), [y, x], around pixels (x, y)."""
    height, width = heatmaps.shape[-2:]
    steps = torch.arange(-radius, radius + 1, device=heatmaps.device)[:, None, None]
    # Pixels beyond the border have the value of the nearest pixel.
    x = (pixels[..., 0] + steps).clamp(0, width - 1)
    y = (pixels[..., 1] + steps).clamp(0, height - 1)
    index = y[:, None] * width + x  # (2r + 1, 2r + 1, B, K)
    values = heatmaps.flatten(2).gather(2, index.permute(2, 3, 0, 1).flatten(2))
    return values.unflatten(2, (len(steps), len(steps))).permute(2, 3, 0, 1)


def _between(pixels: Tensor, first: int, heatmaps: Tensor, margin: int) -> Tensor:
    """Whether x and y (..., 2) are above ``first`` and ``margin`` below the size."""
    height, width = heatmaps.shape[-2:]
    # No tensor of the size, which would be copied from the host.
    x, y = pixels.unbind(dim=-1)
    above = pixels > first
    return above & torch.stack((x < width - margin, y < height - margin), dim=-1)


def _blur(heatmaps: Tensor, kernel: Tensor) -> Tensor:
    """Blur heatmaps and scale them to the maxima before the blur."""
    blurred = blur_heatmaps(heatmaps, kernel)
    before, after = (x.amax(dim=(-2, -1), keepdim=True) for x in (heatmaps, blurred))
    return blurred * (before / after.where(after != 0, 1))


def _quarter_offset(heatmaps: Tensor, peaks: Tensor) -> Tensor:
    """Quarter of a pixel (B, K, 2) towards the larger neighbours of the maxima."""
    near = _neighbours(heatmaps, peaks, radius=1)
    difference = torch.stack((near[1, 2] - near[1, 0], near[2, 1] - near[0, 1]), -1)
    return 0.25 * difference.sign()


def _newton_step(dx: Tensor, dy: Tensor, dxx: Tensor, dyy: Tensor, dxy: Tensor):
    """Step (..., 2) to the extremum of the second-order Taylor expansion."""
    determinant = dxx * dyy - dxy**2
    x = (dxy * dy - dyy * dx) / determinant
    y = (dxy * dx - dxx * dy) / determinant
    return torch.stack((x, y), dim=-1).where(determinant[..., None] != 0, 0)


def decode_quarter_offset(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Decode as MMPose's ``MSRAHeatmap``: a quarter of a pixel towards the neighbours.

    The maximum is moved by 0.25 pixels along each axis, towards the larger neighbour.
    It is not moved along an axis where it is in the first two pixels or the last.

    Convention:
        Keypoints are in heatmap pixels; (0, 0) is the centre of the first pixel.

    Args:
        heatmaps (Tensor): Heatmaps (B, K, H, W).

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y); (-1, -1) if no value is positive.
        - scores (B, K), the maxima.

    Example:
        >>> heatmap = torch.zeros(1, 1, 5, 5)
        >>> heatmap[..., 2, 2], heatmap[..., 2, 3] = 1, 0.5
        >>> decode_quarter_offset(heatmap)
        (tensor([[[2.2500, 2.0000]]]), tensor([[1.]]))
    """
    peaks, scores = _maximum(heatmaps)
    movable = _between(peaks, 1, heatmaps, 1) & (peaks.flip(-1) > 0)
    return peaks + _quarter_offset(heatmaps, peaks) * movable, scores


def decode_dark(heatmaps: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Decode as MMPose's ``MSRAHeatmap(unbiased=True)``: DARK.

    A Newton step on the logarithm of the blurred heatmap. The maximum is not moved if
    it is in the first or last two pixels of an axis. Zhang et al., "Distribution-Aware
    Coordinate Representation for Human Pose Estimation", section 3.2.

    Convention:
        Keypoints are in heatmap pixels; (0, 0) is the centre of the first pixel.

    Args:
        heatmaps (Tensor): Heatmaps (B, K, H, W).
        kernel (Tensor): Blur kernel of one axis (S,).

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y); (-1, -1) if no value is positive.
        - scores (B, K), the maxima.

    Example:
        >>> row = torch.exp(-((torch.arange(8) - 3.25) ** 2) / 8)
        >>> heatmap = (row[:, None] * row).view(1, 1, 8, 8)
        >>> decode_dark(heatmap, torch.ones(1))[0]
        tensor([[[3.2500, 3.2500]]])
    """
    peaks, scores = _maximum(heatmaps)
    blurred = _blur(heatmaps, kernel)
    near = _neighbours(blurred.clamp(min=1e-10).log(), peaks, radius=2)
    step = _newton_step(
        dx=(near[2, 3] - near[2, 1]) / 2,
        dy=(near[3, 2] - near[1, 2]) / 2,
        dxx=(near[2, 4] - 2 * near[2, 2] + near[2, 0]) / 4,
        dyy=(near[4, 2] - 2 * near[2, 2] + near[0, 2]) / 4,
        dxy=(near[3, 3] - near[1, 3] - near[3, 1] + near[1, 1]) / 4,
    )
    movable = _between(peaks, 1, heatmaps, 2).all(dim=-1, keepdim=True)
    return peaks + step.where(movable, 0), scores


def decode_dark_udp(heatmaps: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Decode as MMPose's ``UDPHeatmap``: DARK with other differences.

    Huang et al., "The Devil is in the Details: Delving into Unbiased Data Processing
    for Human Pose Estimation".

    Convention:
        Keypoints are in heatmap pixels; (0, 0) is the centre of the first pixel.

    Args:
        heatmaps (Tensor): Heatmaps (B, K, H, W).
        kernel (Tensor): Blur kernel of one axis (S,).

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y); (-1, -1) if no value is positive.
        - scores (B, K), the maxima.

    Example:
        >>> row = torch.exp(-((torch.arange(8) - 3.25) ** 2) / 8)
        >>> heatmap = (row[:, None] * row).view(1, 1, 8, 8)
        >>> decode_dark_udp(heatmap, torch.ones(1))[0]
        tensor([[[3.2500, 3.2500]]])
    """
    peaks, scores = _maximum(heatmaps)
    blurred = _blur(heatmaps, kernel)
    near = _neighbours(blurred.clamp(1e-3, 50).log(), peaks, radius=1)
    centre = near[1, 1]
    # float32's epsilon keeps the Hessian of a flat heatmap invertible.
    epsilon = torch.finfo(torch.float32).eps
    step = _newton_step(
        dx=(near[1, 2] - near[1, 0]) / 2,
        dy=(near[2, 1] - near[0, 1]) / 2,
        dxx=near[1, 2] - 2 * centre + near[1, 0] + epsilon,
        dyy=near[2, 1] - 2 * centre + near[0, 1] + epsilon,
        dxy=(near[2, 2] - near[1, 2] - near[2, 1] + 2 * centre
             - near[1, 0] - near[0, 1] + near[0, 0]) / 2,
    )  # fmt: skip
    return peaks + step.where((scores > 0)[..., None], 0), scores


def decode_simcc(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Decode as MMPose's ``SimCCLabel``: the maxima of two vectors.

    Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose
    Estimation".

    Convention:
        Keypoints are in bins; 0 is the first bin.

    Args:
        x (Tensor): Vectors of the columns (B, K, W).
        y (Tensor): Vectors of the rows (B, K, H).

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y); (-1, -1) if a maximum is not positive.
        - scores (B, K), the smaller one of both maxima.

    Example:
        >>> x, y = torch.tensor([[[0.0, 0.9]]]), torch.tensor([[[0.0, 0.1, 0.5]]])
        >>> decode_simcc(x, y)
        (tensor([[[1., 2.]]]), tensor([[0.5000]]))
    """
    (max_x, column), (max_y, row) = x.max(dim=-1), y.max(dim=-1)
    scores = torch.minimum(max_x, max_y)
    bins = torch.stack((column, row), dim=-1).to(scores.dtype)
    return bins.where((scores > 0)[..., None], -1), scores


def decode_megvii(heatmaps: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Decode as MMPose's ``MegviiHeatmap``, the codec of MSPN.

    The maximum of the blurred heatmap is moved by 0.25 pixels towards the larger
    neighbours, and by half a pixel to the centre of the pixel. It is not moved if it is
    in the first two pixels or the last of an axis.

    Convention:
        Keypoints are in heatmap pixels; (0, 0) is the corner of the first pixel.

    Args:
        heatmaps (Tensor): Heatmaps (B, K, H, W), trained on targets with a peak of 255.
        kernel (Tensor): Blur kernel of one axis (S,).

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y); (-1, -1) if no value is positive.
        - scores (B, K), maxima before the blur / 255 + 0.5.

    Example:
        >>> heatmap = torch.zeros(1, 1, 5, 5)
        >>> heatmap[..., 2, 2], heatmap[..., 2, 3] = 255, 51
        >>> decode_megvii(heatmap, torch.ones(1))
        (tensor([[[2.7500, 2.5000]]]), tensor([[1.5000]]))
    """
    blurred = _blur(heatmaps, kernel)
    peaks, scores = _maximum(blurred)
    movable = _between(peaks, 1, heatmaps, 1).all(dim=-1, keepdim=True)
    offset = _quarter_offset(blurred, peaks) + 0.5
    return peaks + offset.where(movable, 0), scores / 255 + 0.5
