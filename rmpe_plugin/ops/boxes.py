# SPDX-License-Identifier: Apache-2.0
"""Validity of boxes."""

from typing import TypeVar

import numpy as np
from torch import Tensor

Array = TypeVar('Array', np.ndarray, Tensor)


def valid_boxes(bboxes: Array, allow_empty: bool = False) -> Array:
    """Check which boxes are finite and have a positive width and height.

    Args:
        bboxes (np.ndarray | Tensor): Boxes (..., 4), xyxy, pixels.
        allow_empty (bool): Whether a width or height of 0 is valid. Defaults to
            ``False``.

    Returns:
        np.ndarray | Tensor: Boolean mask (...), of the same type as ``bboxes``.

    Example:
        >>> valid_boxes(np.array([[0, 0, 4, 2], [3, 0, 3, 2], [5, 0, 4, 2]]))
        array([ True, False, False])
    """
    # inf - inf is NaN, which fails both comparisons.
    with np.errstate(invalid='ignore'):
        size = bboxes[..., 2:] - bboxes[..., :2]
    positive = size >= 0 if allow_empty else size > 0
    return (positive & (size < np.inf)).all(-1)
