# SPDX-License-Identifier: Apache-2.0
"""Target heatmaps from the two factors of a Gaussian."""

from torch import Tensor


def render_targets(rows: Tensor, columns: Tensor) -> Tensor:
    """Multiply the vertical and the horizontal profile of each target.

    A Gaussian is separable, so a target of H x W pixels is the outer product of two
    vectors. These are about thirty times smaller, which saves time when they are sent
    from data loading processes and copied to a GPU.

    Args:
        rows (Tensor): Vertical profiles (..., H).
        columns (Tensor): Horizontal profiles (..., W).

    Returns:
        Tensor: Targets (..., H, W).

    Example:
        >>> import torch
        >>> render_targets(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 1.0, 0.5]))
        tensor([[0.5000, 1.0000, 0.5000],
                [1.0000, 2.0000, 1.0000]])
    """
    return rows.unsqueeze(-1) * columns.unsqueeze(-2)
