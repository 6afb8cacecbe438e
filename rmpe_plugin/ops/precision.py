# SPDX-License-Identifier: Apache-2.0
"""Floating-point precision."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32; float32 and float64 are returned unchanged.

    Args:
        x (Tensor): Any floating-point tensor.

    Returns:
        Tensor: The tensor in float32 or float64.

    Example:
        >>> at_least_float32(torch.ones(2, dtype=torch.bfloat16))
        tensor([1., 1.])
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
