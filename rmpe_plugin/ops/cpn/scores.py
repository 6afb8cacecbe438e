# SPDX-License-Identifier: Apache-2.0
"""Keypoint scores of different codecs on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor

T = TypeVar('T', np.ndarray, Tensor)


def unit_scores(
    scores: T,
    score_range: Sequence[float],
    calibration: Sequence[float] | None = None,
) -> T:
    """Map scores linearly from the range of a codec to [0, 1], and clip them.

    With ``calibration`` they are then mapped to probabilities by a logistic function.

    Args:
        scores (Array): Scores of any shape.
        score_range (Sequence[float]): Scores that are mapped to 0 and to 1.
        calibration (Sequence[float], optional): Slope and intercept of the logistic
            function. Defaults to ``None``: no calibration.

    Returns:
        Array: Scores in [0, 1].

    Raises:
        ValueError: If the range is empty.

    Example:
        >>> unit_scores(np.array([0.4, 0.5, 1.25, 1.6]), (0.5, 1.5))
        array([0.  , 0.  , 0.75, 1.  ])
        >>> unit_scores(np.array([0.2, 0.4]), (0, 1), calibration=(10, -4)).round(3)
        array([0.119, 0.5  ])
    """
    low, high = score_range
    if not low < high:
        raise ValueError(
            f'score_range must be two increasing numbers, got {low}, {high}'
        )
    units = ((scores - low) / (high - low)).clip(0, 1)
    if calibration is None:
        return units
    slope, intercept = calibration
    return 1 / (1 + math.e ** -(slope * units + intercept))
