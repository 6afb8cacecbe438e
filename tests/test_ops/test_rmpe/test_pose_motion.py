# SPDX-License-Identifier: Apache-2.0
"""Motion of points compared with a Kalman filter of matrices and with integrals."""

import numpy as np
import pytest

from rmpe_plugin.ops import Motion, correct_motion, predict_motion


def random_motion(rng, bodies=3, points=4):
    root = rng.normal(size=(bodies, points, 2, 2))
    matrices = root @ np.swapaxes(root, -1, -2)
    covariance = np.stack(
        (matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]), axis=-1
    )
    shape = (bodies, points, 2)
    return Motion(100 * rng.normal(size=shape), 30 * rng.normal(size=shape), covariance)


def matrix(covariance):
    xx, xv, vv = covariance
    return np.array([[xx, xv], [xv, vv]])


def test_prediction_equals_integration_in_small_steps():
    rng = np.random.default_rng(0)
    motion, steps, dt, tau = random_motion(rng), 20000, 0.4, 0.3
    position, velocity = motion.position.copy(), motion.velocity.copy()
    body = velocity.mean(axis=1, keepdims=True)
    h = dt / steps
    for _ in range(steps):
        middle = velocity - h / 2 * (velocity - body) / tau
        position += h * middle
        velocity -= h * (middle - body) / tau
    predicted = predict_motion(motion, dt, np.ones((3, 4)), tau)
    np.testing.assert_allclose(predicted.position, position, rtol=1e-7)
    np.testing.assert_allclose(predicted.velocity, velocity, rtol=1e-7)


def test_covariances_are_those_of_a_kalman_filter_of_matrices():
    rng = np.random.default_rng(1)
    motion, dt = random_motion(rng), 0.2
    density, noise = rng.uniform(1, 9, (2, 3, 4))
    measured = rng.normal(size=(3, 4, 2))
    predicted = predict_motion(motion, dt, density, 0.5)
    corrected = correct_motion(predicted, measured, noise)
    transition = np.array([[1, dt], [0, 1]])
    unit = np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    for i, j in np.ndindex(3, 4):
        start = matrix(motion.covariance[i, j])
        expected = transition @ start @ transition.T + density[i, j] * unit
        np.testing.assert_allclose(matrix(predicted.covariance[i, j]), expected)
        gain = expected[:, :1] / (expected[0, 0] + noise[i, j])
        after = (np.eye(2) - gain @ np.array([[1.0, 0.0]])) @ expected
        np.testing.assert_allclose(matrix(corrected.covariance[i, j]), after)
        for axis in range(2):
            state = np.array(
                [predicted.position[i, j, axis], predicted.velocity[i, j, axis]]
            )
            state = state + gain[:, 0] * (measured[i, j, axis] - state[0])
            found = corrected.position[i, j, axis], corrected.velocity[i, j, axis]
            np.testing.assert_allclose(found, state)


def test_two_half_steps_are_one_step():
    rng = np.random.default_rng(2)
    motion, density = random_motion(rng), rng.uniform(1, 9, (3, 4))
    once = predict_motion(motion, 0.6, density, 0.5)
    half = predict_motion(motion, 0.2, density, 0.5)
    twice = predict_motion(half, 0.4, density, 0.5)
    for expected, found in zip(once, twice, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_points_that_are_not_measured_do_not_change():
    motion = random_motion(np.random.default_rng(3))
    noise = np.full((3, 4), np.inf)
    corrected = correct_motion(motion, np.full((3, 4, 2), np.nan), noise)
    for expected, found in zip(motion, corrected, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_body_that_is_not_seen_keeps_its_form():
    rng = np.random.default_rng(4)
    motion = random_motion(rng)
    later = predict_motion(motion, 60.0, np.ones((3, 4)), 0.5).position
    centre = motion.position.mean(1) + 60 * motion.velocity.mean(1)
    np.testing.assert_allclose(later.mean(1), centre)
    body = motion.velocity.mean(1, keepdims=True)
    form = motion.position + 0.5 * (motion.velocity - body)
    expected = form - form.mean(1, keepdims=True)
    np.testing.assert_allclose(
        later - later.mean(1, keepdims=True), expected, atol=1e-6
    )


def test_no_bodies():
    empty = Motion(np.zeros((0, 4, 2)), np.zeros((0, 4, 2)), np.zeros((0, 4, 3)))
    with np.errstate(all='raise'):
        predicted = predict_motion(empty, 0.1, np.zeros((0, 4)), 0.5)
    assert [x.shape for x in predicted] == [x.shape for x in empty]


@pytest.mark.parametrize('dt', [1e-3, 0.04, 1.0])
def test_covariances_stay_positive(dt):
    rng = np.random.default_rng(5)
    motion, ones = random_motion(rng), np.ones((3, 4))
    for _ in range(200):
        motion = predict_motion(motion, dt, ones, 0.5)
        motion = correct_motion(motion, motion.position, 1e-3 * ones)
    xx, xv, vv = np.moveaxis(motion.covariance, -1, 0)
    assert (xx > 0).all()
    assert (xx * vv >= xv**2).all()
