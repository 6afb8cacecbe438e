# SPDX-License-Identifier: Apache-2.0
"""Decoding of CPN's heatmaps."""

import torch
from torch import Tensor

from .blur import blur_heatmaps, gaussian_kernel


def heatmap_peaks(heatmaps: Tensor) -> Tensor:
    """Find the maximum of each heatmap, the first in row-major order among equals.

    Args:
        heatmaps (Tensor): Heatmaps (..., H, W).

    Returns:
        Tensor: Positions (x, y) of the maxima (..., 2), pixels, int64.

    Example:
        >>> heatmap_peaks(torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 3.0]]))
        tensor([2, 0])
    """
    # More than twice as fast as argmax on a CPU.
    index = heatmaps.flatten(-2).max(dim=-1).indices
    width = heatmaps.shape[-1]
    # Not //, whose export also handles negative numbers.
    row = torch.div(index, width, rounding_mode='trunc')
    return torch.stack((index - row * width, row), dim=-1)


def decode_cpn(
    heatmaps: Tensor,
    blur_kernel_size: int = 21,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Decode heatmaps as the test scripts of the public CPN implementations do.

    Each heatmap is blurred. The keypoint is the maximum of the blurred heatmap, moved
    a quarter of a pixel towards its second largest pixel. The score is read from the
    heatmap before the blur. See CPN, section 4.1, github.com/chenyilun95/tf-cpn and
    github.com/GengDavid/pytorch-cpn.

    Convention:
        Keypoints are in heatmap pixels; (0, 0) is the centre of the first pixel. The
        padding of the blur is zero.

    Args:
        heatmaps (Tensor): Heatmaps (B, K, H, W), trained on targets with a peak of 255.
        blur_kernel_size (int): Width of the Gaussian blur, odd, pixels. Defaults to 21.
        dtype (torch.dtype): Precision of the computation. Defaults to float64, in which
            near ties are resolved in the same way on every device.

    Returns:
        tuple[Tensor, Tensor]:
        - keypoints (B, K, 2), (x, y), in ``dtype``.
        - scores (B, K), heatmap value at the keypoint / 255, in ``dtype``. The public
          implementations add 0.5. A heatmap without a positive value or with a value
          that is not finite gives score 0 and keypoint (0, 0).

    Raises:
        ValueError: If ``blur_kernel_size`` is not odd and positive.

    Example:
        >>> heatmap = torch.zeros(1, 1, 8, 8)
        >>> heatmap[..., 4, 2], heatmap[..., 4, 3] = 255, 51
        >>> keypoints, scores = decode_cpn(heatmap, blur_kernel_size=1)
        >>> keypoints.tolist(), scores.tolist()
        ([[[2.25, 4.0]]], [[1.0]])
    """
    batch, num_keypoints, height, width = heatmaps.shape
    maps = heatmaps.detach().flatten(0, 1).to(dtype)  # (B * K, H, W)
    peak, low = maps.amax(dim=(1, 2)), maps.amin(dim=(1, 2))
    # NaN fails both comparisons. Invalid heatmaps are decoded too and masked at the
    # end.
    valid = (peak > 0) & (peak - low).isfinite()

    blurred = blur_heatmaps(maps, gaussian_kernel(blur_kernel_size, maps.device))
    first = heatmap_peaks(blurred)
    index = first[:, 1] * width + first[:, 0]
    blurred.flatten(1).scatter_(1, index[:, None], 0)
    offset = (heatmap_peaks(blurred) - first).to(dtype)
    # The distance is 0 if all other pixels are negative: the maximum, which was set to
    # 0, is found again.
    distance = offset.norm(dim=1, keepdim=True)
    keypoints = first + 0.25 * offset / distance.clamp(min=1)
    keypoints = keypoints * valid[:, None]

    nearest = keypoints.round().long()
    pixel = nearest[:, 1] * width + nearest[:, 0]
    value = maps.flatten(1).gather(1, pixel[:, None])[:, 0]
    scores = torch.where(valid, value / 255, 0.0)
    return keypoints.view(batch, num_keypoints, 2), scores.view(batch, num_keypoints)
