# SPDX-License-Identifier: Apache-2.0
"""Fit of a map from scores to probabilities."""

import numpy as np


def fit_calibration(scores: np.ndarray, correct: np.ndarray) -> tuple[float, float]:
    """Fit the probability that a prediction is correct by logistic regression.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with his target
    probabilities, which keep the fit finite if the classes are separable.

    Args:
        scores (np.ndarray): Scores (N,) in [0, 1].
        correct (np.ndarray): Whether each prediction is correct (N,), bool.

    Returns:
        tuple[float, float]: Slope and intercept, ``calibration`` of
        :class:`rmpe_plugin.codecs.CPNHeatmap`.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError(
            'a calibration needs scikit-learn: pip install "rmpe_plugin[learn]"'
        ) from error
    number = correct.sum()
    target = np.where(
        correct, (number + 1) / (number + 2), 1 / (len(correct) - number + 2)
    )
    # A target probability is a positive and a negative sample with these weights.
    fit = LogisticRegression(C=np.inf, tol=1e-6).fit(
        np.tile(scores, 2)[:, None],
        np.repeat((1, 0), len(scores)),
        np.concatenate((target, 1 - target)),
    )
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])
