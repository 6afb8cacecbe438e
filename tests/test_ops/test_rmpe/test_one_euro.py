# SPDX-License-Identifier: Apache-2.0
"""One-Euro filter compared with one of single numbers, as its authors describe it."""

import math

import numpy as np

from rmpe_plugin.ops import one_euro


class SlowFilter:
    """Filter of one point."""

    def __init__(self, min_cutoff, beta, velocity_cutoff, size):
        self.min_cutoff, self.beta = min_cutoff, beta
        self.velocity_cutoff, self.size = velocity_cutoff, size

    @staticmethod
    def low_pass(new, old, cutoff, dt):
        tau = 1 / (2 * math.pi * cutoff)
        alpha = 1 / (1 + tau / dt)
        return [alpha * n + (1 - alpha) * o for n, o in zip(new, old, strict=True)]

    def start(self, point):
        self.position, self.velocity = list(point), [0.0, 0.0]

    def filter(self, point, dt):
        raw = [(p - q) / dt for p, q in zip(point, self.position, strict=True)]
        self.velocity = self.low_pass(raw, self.velocity, self.velocity_cutoff, dt)
        speed = math.sqrt(sum(v * v for v in self.velocity)) / self.size
        cutoff = self.min_cutoff + self.beta * speed
        self.position = self.low_pass(point, self.position, cutoff, dt)
        return self.position


def test_equals_filters_of_single_points():
    rng = np.random.default_rng(0)
    settings = dict(min_cutoff=0.7, beta=3.0, velocity_cutoff=1.5)
    sizes = rng.uniform(20, 200, 3)
    points = rng.normal(scale=9, size=(30, 3, 4, 2)).cumsum(axis=0)
    slow = {i: SlowFilter(**settings, size=sizes[i[0]]) for i in np.ndindex(3, 4)}
    for i, filtered in slow.items():
        filtered.start(points[0][i])
    position, velocity = points[0], np.zeros((3, 4, 2))
    for measured in points[1:]:
        dt = rng.uniform(0.01, 0.2)
        arguments = measured, position, velocity, dt, sizes
        position, velocity = one_euro(*arguments, **settings)
        for i, filtered in slow.items():
            np.testing.assert_allclose(position[i], filtered.filter(measured[i], dt))
            np.testing.assert_allclose(velocity[i], filtered.velocity)


def test_result_does_not_depend_on_the_scale():
    rng = np.random.default_rng(1)
    measured, position, velocity = rng.normal(size=(3, 2, 5, 2))
    sizes = np.array([50.0, 80.0])
    once = one_euro(measured, position, velocity, 0.04, sizes)
    twice = one_euro(2 * measured, 2 * position, 2 * velocity, 0.04, 2 * sizes)
    np.testing.assert_allclose(twice, 2 * np.array(once))


def test_no_people():
    empty = np.zeros((0, 17, 2))
    position, velocity = one_euro(empty, empty, empty, 0.04, np.zeros(0))
    assert position.shape == velocity.shape == empty.shape
