# SPDX-License-Identifier: Apache-2.0
"""Fit of a map from scores to probabilities."""

import numpy as np
from scipy.optimize import minimize


def fit_calibration(scores: np.ndarray, correct: np.ndarray) -> tuple[float, float]:
    """Fit the probability that a prediction is correct by logistic regression.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with his target
    probabilities, which keep the fit finite if the classes are separable.

    Args:
        scores (np.ndarray): Scores (N,) in [0, 1].
        correct (np.ndarray): Whether each prediction is correct (N,), bool.

    Returns:
        tuple[float, float]: Slope and intercept, see ``calibration`` of
        :func:`rmpe_plugin.ops.unit_scores`.
    """
    number = correct.sum()
    target = np.where(
        correct, (number + 1) / (number + 2), 1 / (len(correct) - number + 2)
    )

    def negative_log_likelihood(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, intercept = parameters
        logit = slope * scores + intercept
        loss = np.logaddexp(0, logit) - target * logit  # (N,)
        residual = 1 / (1 + np.exp(-logit)) - target
        return loss.mean(), np.array([(residual * scores).mean(), residual.mean()])

    fit = minimize(negative_log_likelihood, np.array([1.0, 0.0]), jac=True)
    slope, intercept = fit.x
    return float(slope), float(intercept)
