# SPDX-License-Identifier: Apache-2.0
"""Calibration of keypoint scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor

T = TypeVar('T', np.ndarray, Tensor)


def calibrate_scores(scores: T, calibration: Sequence[float]) -> T:
    """Map scores to probabilities by a logistic function.

    Args:
        scores (Array): Scores of any shape.
        calibration (Sequence[float]): Slope and intercept of the logistic function.

    Returns:
        Array: Scores in [0, 1].

    Example:
        >>> calibrate_scores(np.array([0.2, 0.4]), calibration=(10, -4)).round(3)
        array([0.119, 0.5  ])
    """
    slope, intercept = calibration
    return 1 / (1 + math.e ** -(slope * scores + intercept))
