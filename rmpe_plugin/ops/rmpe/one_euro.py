# SPDX-License-Identifier: Apache-2.0
r"""One-Euro filter of moving points (Casiez, Roussel and Vogel, CHI 2012).

A low-pass filter whose cutoff frequency rises with the speed: points that rest do not
jitter, and points that move fast do not lag behind. With the filtered position
:math:`\hat x` and velocity :math:`\hat v` of the frame before, a time step t, and
:math:`\alpha(f) = 1 / (1 + 1 / (2 \pi f t))`,

.. math::
    \hat v' &= \alpha(f_v) \frac{x - \hat x}{t} + (1 - \alpha(f_v)) \hat v \\
    \hat x' &= \alpha(f) x + (1 - \alpha(f)) \hat x, \qquad
    f = f_{min} + \beta \frac{\|\hat v'\|}{s},

where s is the size of the box, so that the result does not depend on the scale of the
image.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Value = TypeVar('Value', float, np.ndarray)


def one_euro(
    measured: np.ndarray,
    position: np.ndarray,
    velocity: np.ndarray,
    dt: float,
    size: np.ndarray,
    min_cutoff: float = 1.0,
    beta: float = 5.0,
    velocity_cutoff: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Filter the points of people in a frame.

    Args:
        measured (np.ndarray): Measured points (N, K, 2), pixels.
        position (np.ndarray): Filtered points of the frame before (N, K, 2), pixels.
        velocity (np.ndarray): Their filtered velocities (N, K, 2), pixels per second.
        dt (float): Time since the frame before, seconds, positive.
        size (np.ndarray): Size of the boxes (N,), pixels, positive.
        min_cutoff (float): Cutoff frequency of a point at rest, hertz. Lower values
            remove more jitter. Defaults to 1.
        beta (float): Increase of the cutoff frequency with the speed, hertz per box
            size and second. Higher values reduce the lag. Defaults to 5.
        velocity_cutoff (float): Cutoff frequency of the velocity, hertz. Defaults to 1.

    Returns:
        tuple[np.ndarray, np.ndarray]: Filtered points and velocities.

    Example:
        >>> zero, one = np.zeros((1, 1, 2)), np.ones(1)
        >>> one_euro(zero + 1, zero, zero, 0.04, 100 * one)[0].round(3)
        array([[[0.254, 0.254]]])
    """
    raw = (measured - position) / dt
    velocity = velocity + _alpha(velocity_cutoff, dt) * (raw - velocity)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])[..., None]
    cutoff = min_cutoff + beta * speed / size[:, None, None]
    return position + _alpha(cutoff, dt) * (measured - position), velocity


def _alpha(cutoff: Value, dt: float) -> Value:
    """Weight of the new value in a low-pass filter."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * dt))
