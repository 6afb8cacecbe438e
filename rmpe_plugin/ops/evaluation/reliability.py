# SPDX-License-Identifier: Apache-2.0
"""Reliability of scores: how often predictions of a score are correct."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Reliability(NamedTuple):
    """Scores and correctness of predictions, in bins of the score.

    Attributes:
        number (np.ndarray): Predictions in each bin (bins,).
        score (np.ndarray): Their mean score (bins,), NaN for an empty bin.
        correct (np.ndarray): Fraction of correct predictions (bins,), NaN likewise.
    """

    number: np.ndarray
    score: np.ndarray
    correct: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: weighted mean of abs(score - correct)."""
        gap = np.nan_to_num(np.abs(self.score - self.correct))
        return float((self.number * gap).sum() / self.number.sum())


def reliability(scores: np.ndarray, correct: np.ndarray, bins: int = 10) -> Reliability:
    """Compare scores with the fraction of correct predictions.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 2.

    Args:
        scores (np.ndarray): Scores (N,) in [0, 1].
        correct (np.ndarray): Whether each prediction is correct (N,), bool.
        bins (int): Number of bins of equal width. Defaults to 10.

    Returns:
        Reliability: The bins.

    Raises:
        ValueError: If there are no scores, or a score is not in [0, 1].

    Example:
        >>> result = reliability(np.array([0.1, 0.2, 0.8]), np.array([0, 1, 1]), bins=2)
        >>> result.number.tolist(), result.correct.tolist()
        ([2, 1], [0.5, 1.0])
        >>> round(result.calibration_error, 3)
        0.3
    """
    if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            'scores must be in [0, 1], got '
            + (f'{scores.min()} to {scores.max()}' if len(scores) else 'no scores')
        )
    index = np.minimum((scores * bins).astype(int), bins - 1)
    number = np.bincount(index, minlength=bins)
    with np.errstate(invalid='ignore'):
        score, fraction = (
            np.bincount(index, weights=values, minlength=bins) / number
            for values in (scores, correct)
        )
    return Reliability(number, score, fraction)
