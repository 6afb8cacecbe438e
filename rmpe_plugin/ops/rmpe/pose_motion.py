# SPDX-License-Identifier: Apache-2.0
r"""Motion of the points of a body: a Kalman filter for each point.

A point moves with the mean velocity u of its body and with its own one, which decays:

.. math::
    x(t) = x + u t + (v - u) \tau (1 - e^{-t / \tau}), \qquad
    v(t) = u + (v - u) e^{-t / \tau}.

Without measurements, a body keeps its way and its form. The acceleration is white noise
of density q. Horizontal and vertical coordinates have the same covariance, that of a
constant velocity, and three numbers describe it: the variance of the position, its
covariance with the velocity, and the variance of the velocity. Two steps of t / 2 are
the same as one of t, so that the frame rate may vary.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Motion(NamedTuple):
    """The P points of T bodies, which move.

    Attributes:
        position (np.ndarray): Positions (T, P, 2), pixels.
        velocity (np.ndarray): Velocities (T, P, 2), pixels per second.
        covariance (np.ndarray): Variance of the position, covariance and variance of
            the velocity (T, P, 3), in pixels and seconds.
    """

    position: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray


def predict_motion(
    motion: Motion, dt: float, density: np.ndarray, tau: float
) -> Motion:
    """Predict where points are after some time.

    Args:
        motion (Motion): The points.
        dt (float): Time, seconds.
        density (np.ndarray): Density q of the acceleration (T, P), pixels squared per
            second cubed.
        tau (float): Time constant of the own velocity of a point, seconds.

    Returns:
        Motion: The points after this time.

    Example:
        >>> body = Motion(np.zeros((1, 1, 2)), np.ones((1, 1, 2)), np.zeros((1, 1, 3)))
        >>> predict_motion(body, 0.5, np.ones((1, 1)), tau=1.0).position
        array([[[0.5, 0.5]]])
    """
    position, velocity, covariance = motion
    body = velocity.mean(axis=-2, keepdims=True)
    remaining = np.exp(-dt / tau)
    moved = position + dt * body + tau * (1 - remaining) * (velocity - body)
    slowed = body + remaining * (velocity - body)
    predicted = np.empty_like(covariance)
    xx, xv, vv = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    predicted[..., 0] = xx + dt * (2 * xv + dt * vv) + density * dt**3 / 3
    predicted[..., 1] = xv + dt * vv + density * dt**2 / 2
    predicted[..., 2] = vv + density * dt
    return Motion(moved, slowed, predicted)


def correct_motion(motion: Motion, measured: np.ndarray, noise: np.ndarray) -> Motion:
    """Correct predicted points by measured ones.

    Args:
        motion (Motion): The predicted points.
        measured (np.ndarray): Measured positions (T, P, 2), pixels.
        noise (np.ndarray): Variance of the measurements (T, P), pixels squared;
            infinite for a point that was not measured.

    Returns:
        Motion: The corrected points.

    Example:
        >>> body = Motion(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.ones((1, 1, 3)))
        >>> correct_motion(body, np.ones((1, 1, 2)), np.ones((1, 1))).position
        array([[[0.5, 0.5]]])
    """
    position, velocity, covariance = motion
    xx, xv, vv = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    gain, velocity_gain = xx / (xx + noise), xv / (xx + noise)
    difference = np.where((noise < np.inf)[..., None], measured - position, 0.0)
    corrected = np.empty_like(covariance)
    corrected[..., 0] = xx - gain * xx
    corrected[..., 1] = xv - gain * xv
    corrected[..., 2] = vv - velocity_gain * xv
    return Motion(
        position + gain[..., None] * difference,
        velocity + velocity_gain[..., None] * difference,
        corrected,
    )
