# SPDX-License-Identifier: Apache-2.0
"""Weighted AP against the AP of images that are really repeated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import (
    ScoredDetections,
    bootstrap_weights,
    joint_detections,
    multi_person_ap,
    oks_average_precision,
    pose_detections,
)

SEEDS = st.integers(0, 2**32 - 1)


def repeat(images, weights):
    """Each image as often as its weight says."""
    return [image for image, n in zip(images, weights, strict=True) for _ in range(n)]


def some_missing(rng, poses):
    """Poses without some of their joints."""
    return np.where(rng.random((*poses.shape[:2], 1)) < 0.2, np.nan, poses)


def random_people(rng, number, num_joints=3):
    """Arguments of multi_person_ap: people, and poses near some of them."""
    shapes = [(rng.integers(0, 4), num_joints, 2) for _ in range(number)]
    gt = [rng.uniform(0, 100, shape) for shape in shapes]
    near = [people + rng.normal(0, 12, people.shape) for people in gt]
    others = [rng.uniform(0, 100, (rng.integers(0, 3), num_joints, 2)) for _ in gt]
    poses = [
        some_missing(rng, np.concatenate(parts))
        for parts in zip(near, others, strict=True)
    ]
    return (
        [some_missing(rng, people) for people in gt],
        [np.full(len(people), 30.0) for people in gt],
        poses,
        [rng.random(pose.shape[:2]) for pose in poses],
    )


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_weights_equal_repeated_groups(seed):
    rng = np.random.default_rng(seed)
    groups = random_people(rng, 6)
    weights = rng.integers(0, 4, (3, 6))
    weights[:, 0] += 1
    ap = joint_detections(*groups).average_precision(weights)
    for row, values in zip(weights, ap, strict=True):
        expected = multi_person_ap(*(repeat(images, row) for images in groups))
        np.testing.assert_allclose(100 * values, expected, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_weights_equal_repeated_images(seed):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(1, 6, (5, 2))
    oks = [rng.random(shape) for shape in shapes]
    scores = [rng.random(len(matrix)) for matrix in oks]
    ignored = [rng.random(matrix.shape[1]) < 0.2 for matrix in oks]
    crowd = [flags & (rng.random(len(flags)) < 0.5) for flags in ignored]
    images = oks, scores, ignored, crowd
    weights = rng.integers(0, 4, (3, 5))
    weights[:, 0] += 1
    ap = pose_detections(*images).average_precision(weights).mean(axis=-1)
    for row, value in zip(weights, ap, strict=True):
        expected = oks_average_precision(*(repeat(part, row) for part in images))
        np.testing.assert_allclose(value, expected, atol=1e-12)


def test_precision_by_hand():
    """Correct, wrong, ignored, correct; two of three people are found."""
    column = np.array([[1], [0], [0], [1]], bool)
    counted = np.array([[1], [1], [0], [1]], bool)
    detections = ScoredDetections(
        np.zeros((4, 1), int), column, counted, np.array([[3]])
    )
    assert detections.average_precision() == pytest.approx([1 / 3 + 2 / 9])
    assert detections.recall == pytest.approx([2 / 3])
    # 34 of the 101 recalls are at most 1/3, the next 33 at most 2/3
    interpolated = replace(detections, num_recalls=101)
    assert interpolated.average_precision() == pytest.approx([(34 + 33 * 2 / 3) / 101])


def test_nothing_to_detect_and_no_detections():
    empty = np.zeros((0, 1), bool)
    detections = ScoredDetections(empty.astype(int), empty, empty, np.array([[2], [0]]))
    assert detections.average_precision().tolist() == [0]
    assert detections.recall.tolist() == [0]
    no_targets = replace(detections, num_targets=np.zeros((2, 1), int))
    assert np.isnan(no_targets.recall).all()
    ap = detections.average_precision(np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(ap, [[0], [np.nan]])


def test_bootstrap_samples():
    weights = bootstrap_weights(20, 4000, seed=3)
    assert weights.shape == (4000, 20)
    assert (weights.sum(axis=1) == 20).all()
    # Each image is absent from (1 - 1/20)^20 of the samples.
    assert (weights == 0).mean() == pytest.approx(0.95**20, abs=0.01)
    np.testing.assert_array_equal(weights, bootstrap_weights(20, 4000, seed=3))
    with pytest.raises(ValueError, match='must be at least 1, got 0 and 2'):
        bootstrap_weights(0, 2, seed=0)
