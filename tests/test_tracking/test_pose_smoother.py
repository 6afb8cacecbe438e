# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.ops import one_euro
from rmpe_plugin.tracking import PoseSmoother
from tests.test_tracking.people import people, walker


def test_filters_each_track_where_its_person_is():
    rng = np.random.default_rng(0)
    smoother = PoseSmoother(min_cutoff=0.5)
    position = velocity = None
    for i in range(20):
        order = rng.permutation(2)
        poses = np.array([walker(100 + i), walker(300 - 2 * i)])
        poses += rng.normal(size=poses.shape)
        before = poses.copy()
        frame = people(*poses[order])
        smoothed = smoother.update(frame, order + 1, i / 25)
        np.testing.assert_array_equal(frame.keypoints, before[order])  # not changed
        if position is None:
            position, velocity = poses, np.zeros(poses.shape)
        else:
            sides = people(*poses).bboxes[:, 2:] - people(*poses).bboxes[:, :2]
            sizes = np.sqrt(sides.prod(axis=1))
            arguments = poses, position, velocity, 1 / 25, sizes
            position, velocity = one_euro(*arguments, min_cutoff=0.5)
        np.testing.assert_allclose(smoothed, position[order])


def test_removes_jitter_and_follows_motion():
    rng = np.random.default_rng(1)
    truth = np.array([walker(100 + 4 * i) for i in range(100)])
    noisy = truth + rng.normal(scale=2, size=truth.shape)
    smoother = PoseSmoother()
    smooth = [smoother.update(people(x), np.ones(1, int), i / 25)[0] for i, x in
              enumerate(noisy)]  # fmt: skip
    jitter = [np.abs(np.diff(x - truth, axis=0)).mean() for x in (smooth, noisy)]
    assert jitter[0] < 0.7 * jitter[1]
    assert np.abs(smooth - truth).mean() < np.abs(noisy - truth).mean()


def test_people_without_an_id_and_people_who_come_back_are_not_smoothed():
    smoother = PoseSmoother()
    first, second = walker(100), walker(110)
    minus, one = np.array([-1]), np.array([1])
    for pose, ids in ((first, minus), (second, minus), (first, one)):
        smoothed = smoother.update(people(pose), ids)
        np.testing.assert_array_equal(smoothed[0], pose)
    smoother.update(people(), np.zeros(0, int))
    np.testing.assert_array_equal(smoother.update(people(second), one)[0], second)
    assert (smoother.update(people(first), one)[0, :, 0] != first[:, 0]).all()


def test_keypoints_that_are_not_finite_do_not_change():
    smoother, one = PoseSmoother(), np.array([1])
    poses = [walker(100 + i) for i in range(4)]
    poses[1][3] = np.nan
    smoothed = [smoother.update(people(pose), one)[0] for pose in poses]
    assert np.isnan(smoothed[1][3]).all()
    assert np.isfinite(smoothed[1][:3]).all()
    assert np.isfinite(smoothed[2]).all() and np.isfinite(smoothed[3]).all()


def test_raises_on_times_that_do_not_increase():
    smoother = PoseSmoother()
    smoother.update(people(), np.zeros(0, int), 1.0)
    with pytest.raises(ValueError, match='in the order of their times'):
        smoother.update(people(), np.zeros(0, int), 1.0)
