# SPDX-License-Identifier: Apache-2.0
"""The two bilinear grids that CPN was published with."""

import torch.nn.functional as F
from torch import Tensor

RESIZE_GRIDS = ('corners', 'tf1')


def resize_heatmap(x: Tensor, size: tuple[int, int], grid: str = 'corners') -> Tensor:
    """Resize maps bilinearly on the grid of one of the published networks.

    Convention: output index i reads the input at i * (n_in - 1) / (n_out - 1) for
    ``'corners'`` and at i * n_in / n_out, held at the last pixel, for ``'tf1'``.

    Args:
        x (Tensor): Maps (B, C, h, w).
        size (tuple[int, int]): Wanted (H, W).
        grid (str): ``'corners'`` matches corner pixels to corner pixels
            (``align_corners=True``, as pytorch-cpn); ``'tf1'`` is TensorFlow 1's
            ``resize_bilinear`` (as tf-cpn), which no mode of
            ``torch.nn.functional.interpolate`` has. Defaults to ``'corners'``.

    Returns:
        Tensor: Maps (B, C, H, W).

    Raises:
        ValueError: If ``grid`` is unknown, or is ``'tf1'`` and ``size`` is not a whole
            multiple of the maps' size.
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
            "resize_grid='tf1' needs a size that is a multiple of the maps', got "
            f'{height}x{width} for {h}x{w}'
        )
    # With one replicated pixel more on either side, corner-aligned steps are exactly
    # h / H and w / W.
    x = F.pad(x, (0, 1, 0, 1), mode='replicate')
    x = F.interpolate(x, (height + 1, width + 1), mode='bilinear', align_corners=True)
    return x[..., :height, :width]
