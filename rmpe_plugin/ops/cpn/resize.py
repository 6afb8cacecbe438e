# SPDX-License-Identifier: Apache-2.0
"""Bilinear resizing on the sampling grids of the two public CPN implementations."""

import torch.nn.functional as F
from torch import Tensor

RESIZE_GRIDS = ('corners', 'tf1')


def resize_bilinear(x: Tensor, size: tuple[int, int], grid: str = 'corners') -> Tensor:
    """Resize feature maps or heatmaps bilinearly.

    Convention:
        Output index i samples the input at i * (n_in - 1) / (n_out - 1) for
        ``'corners'`` (``align_corners=True``), and at i * n_in / n_out, limited to the
        last pixel, for ``'tf1'``.

    Args:
        x (Tensor): Maps (B, C, h, w).
        size (tuple[int, int]): Output size (H, W), pixels.
        grid (str): ``'corners'`` as in github.com/GengDavid/pytorch-cpn, or ``'tf1'``
            as in github.com/chenyilun95/tf-cpn: TensorFlow 1's ``resize_bilinear``,
            which ``torch.nn.functional.interpolate`` does not offer. Defaults to
            ``'corners'``.

    Returns:
        Tensor: Maps (B, C, H, W).

    Raises:
        ValueError: If ``grid`` is unknown, or if it is ``'tf1'`` and ``size`` is not a
            multiple of the input size.

    Example:
        >>> import torch
        >>> row = torch.tensor([[[[0.0, 3.0]]]])
        >>> resize_bilinear(row, (1, 4), 'corners').round(decimals=2)
        tensor([[[[0., 1., 2., 3.]]]])
        >>> resize_bilinear(row, (1, 4), 'tf1').round(decimals=2)
        tensor([[[[0.0000, 1.5000, 3.0000, 3.0000]]]])
    """
    if grid not in RESIZE_GRIDS:
        raise ValueError(f'resize_grid must be one of {RESIZE_GRIDS}, got {grid!r}')
    height, width = size
    h, w = x.shape[-2:]
    if (h, w) == (height, width):
        return x
    if grid == 'corners':
        return F.interpolate(x, size, mode='bilinear', align_corners=True)
    if height % h or width % w:
        raise ValueError(
            "resize_grid='tf1' needs an output size that is a multiple of the input "
            f'size, got {height}x{width} for {h}x{w}'
        )
    # With one more replicated pixel per side, the steps of align_corners=True are h / H
    # and w / W.
    x = F.pad(x, (0, 1, 0, 1), mode='replicate')
    x = F.interpolate(x, (height + 1, width + 1), mode='bilinear', align_corners=True)
    return x[..., :height, :width]
