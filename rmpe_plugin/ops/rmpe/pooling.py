# SPDX-License-Identifier: Apache-2.0
"""Average pooling to a grid of fixed size, with a deterministic gradient."""

import torch
from torch import Tensor


def _cell_weights(size: int, cells: int, like: Tensor) -> Tensor:
    """Weights (cells, size) that average the pixels of each cell along one axis."""
    cell = torch.arange(cells, device=like.device)[:, None]
    pixel = torch.arange(size, device=like.device)
    first, end = cell * size // cells, -(-(cell + 1) * size // cells)
    inside = ((pixel >= first) & (pixel < end)).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def grid_average_pool(x: Tensor, cells: int) -> Tensor:
    """Average feature maps over the cells of a square grid.

    The result of ``torch.nn.functional.adaptive_avg_pool2d``, whose gradient is not
    deterministic on CUDA. Use it for small maps only: the intermediate tensor is
    ``cells`` times as large as the input.

    Args:
        x (Tensor): Feature maps (B, C, H, W).
        cells (int): Rows and columns of the grid. Cells overlap if it does not divide
            the size of the maps.

    Returns:
        Tensor: Averages (B, C, cells, cells).

    Example:
        >>> x = torch.tensor([[[[1.0, 2.0, 6.0]]]])
        >>> grid_average_pool(x, 1), grid_average_pool(x, 2)
        (tensor([[[[3.]]]]), tensor([[[[1.5000, 4.0000],
                  [1.5000, 4.0000]]]]))
    """
    height, width = x.shape[-2:]
    # Products and sums, because a matrix product may round to TF32.
    rows = (x.unsqueeze(-3) * _cell_weights(height, cells, x).unsqueeze(-1)).sum(-2)
    return (rows.unsqueeze(-2) * _cell_weights(width, cells, x)).sum(-1)
