# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import (
    ErrorThresholds,
    head_size_variances,
    keypoint_similarity,
    oks_variances,
    pose_error_types,
)
from rmpe_plugin.ops.evaluation.error_types import KEYPOINT_TYPES, PERSON_TYPES


def similarity(point, joint, variance):
    if np.isnan(joint).any():
        return 0.0
    return math.exp(-((point[0] - joint[0]) ** 2 + (point[1] - joint[1]) ** 2)
                    / (2 * variance))  # fmt: skip


def loop_types(keypoints, scores, gt, variances, thresholds):
    """The definitions, one keypoint after another."""

    def oks(p, g):
        labelled = [k for k in range(len(p)) if not np.isnan(gt[g, k]).any()]
        return sum(similarity(p[k], gt[g, k], variances[g, k]) for k in labelled) / max(
            1, len(labelled)
        )

    order = sorted(range(len(keypoints)), key=lambda i: -scores[i])
    match = {}
    for i in order:
        free = [
            (oks(keypoints[i], g), -g)
            for g in range(len(gt))
            if g not in match.values()
        ]
        if free and max(free)[0] >= thresholds.match:
            match[i] = -max(free)[1]

    people, joints = [], []
    for i, pose in enumerate(keypoints):
        best = max((oks(pose, g) for g in range(len(gt))), default=0)
        if i in match:
            people.append('matched')
        else:
            people.append('duplicate' if best >= thresholds.match else 'background')
        row = []
        for k, point in enumerate(pose):
            if i not in match or np.isnan(gt[match[i], k]).any():
                row.append(None)
                continue
            g = match[i]
            value = similarity(point, gt[g, k], variances[g, k])
            if value >= thresholds.close:
                row.append('good' if value >= thresholds.good else 'jitter')
                continue
            same = max(
                similarity(point, gt[g, j], variances[g, j])
                for j in range(len(pose))
                if j != k
            )
            other = max(
                (
                    similarity(point, gt[q, j], variances[q, j])
                    for q in range(len(gt))
                    if q != g
                    for j in range(len(pose))
                ),
                default=0,
            )
            if max(same, other) < thresholds.close:
                row.append('miss')
            else:
                row.append('inversion' if same >= other else 'swap')
        joints.append(row)
    missed = [g not in match.values() for g in range(len(gt))]
    return people, joints, missed


def scene(rng, people, predictions, num_keypoints):
    """People with missing joints; predictions near joints of any person."""
    gt = rng.uniform(0, 60, (people, num_keypoints, 2))
    source = rng.integers(0, max(1, people), predictions)
    keypoints = rng.uniform(0, 60, (predictions, num_keypoints, 2))
    if people:
        keypoints = gt[source] + rng.normal(0, 4, keypoints.shape)
        # Some keypoints at joints of any kind and person
        wrong = rng.random(keypoints.shape[:2]) < 0.3
        q, j = (rng.integers(0, n, wrong.sum()) for n in (people, num_keypoints))
        keypoints[wrong] = gt[q, j] + rng.normal(0, 2, (wrong.sum(), 2))
        gt[rng.random(gt.shape[:2]) < 0.2] = np.nan
    variances = rng.uniform(5, 40, (people, num_keypoints))
    return keypoints, rng.random(predictions), gt, variances


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    people=st.integers(0, 4),
    predictions=st.integers(0, 6),
    num_keypoints=st.sampled_from([2, 5, 17]),
)
def test_equals_the_definitions(seed, people, predictions, num_keypoints):
    rng = np.random.default_rng(seed)
    arguments = scene(rng, people, predictions, num_keypoints)
    thresholds = ErrorThresholds(match=0.2)
    types = pose_error_types(*arguments, thresholds=thresholds)
    persons, joints, missed = loop_types(*arguments, thresholds)
    assert [PERSON_TYPES[i] for i in types.person_type] == persons
    actual = [
        [None if i < 0 else KEYPOINT_TYPES[i] for i in row]
        for row in types.keypoint_type
    ]
    assert actual == joints
    assert types.missed.tolist() == missed


def test_scenes_contain_every_type():
    found = set()
    for seed in range(50):
        types = pose_error_types(*scene(np.random.default_rng(seed), 3, 5, 8))
        found |= {KEYPOINT_TYPES[i] for i in types.keypoint_type.ravel() if i >= 0}
        found |= {PERSON_TYPES[i] for i in types.person_type}
    assert found == {*KEYPOINT_TYPES, 'matched', 'duplicate', 'background'}


def test_wrong_order():
    gt = np.array([[[0.0, 0.0], [20.0, 0.0]]])
    poses = np.array([gt[0] + 4, gt[0] + 1, gt[0] + 5])
    variances = np.full((1, 2), 25.0)
    types = pose_error_types(poses, np.array([0.9, 0.5, 0.2]), gt, variances)
    assert types.wrong_order.tolist() == [True, False, False]
    types = pose_error_types(poses, np.array([0.5, 0.9, 0.2]), gt, variances)
    assert not types.wrong_order.any()


def test_oks_is_that_of_coco():
    rng = np.random.default_rng(0)
    gt, areas = rng.uniform(0, 50, (1, 17, 2)), np.array([3000.0])
    sigmas = rng.uniform(0.02, 0.1, 17)
    pose = gt + rng.normal(0, 3, gt.shape)
    types = pose_error_types(pose, np.ones(1), gt, oks_variances(areas, sigmas))
    expected = keypoint_similarity(pose, gt, areas, sigmas)
    np.testing.assert_allclose(types.similarity, expected)
    np.testing.assert_allclose(types.oks, expected.mean(axis=1))


def test_head_size_makes_pckh_the_limit_of_jitter():
    gt = np.array([[[0.0, 0.0], [100.0, 0.0]]])
    poses = gt + [[[9.9, 0.0], [10.1, 0.0]]]
    variances = head_size_variances(np.array([20.0]), 2)
    types = pose_error_types(poses, np.ones(1), gt, variances)
    assert [KEYPOINT_TYPES[i] for i in types.keypoint_type[0]] == ['jitter', 'miss']


def test_confusable_joints():
    gt = np.array([[[0.0, 0.0], [50.0, 0.0], [90.0, 0.0]]])
    pose = gt[:, [1, 1, 1]]
    variances = np.full((1, 3), 25.0)
    confusable = np.zeros((3, 3), bool)
    confusable[0, 1] = True
    types = pose_error_types(pose, np.ones(1), gt, variances, confusable=confusable)
    names = [KEYPOINT_TYPES[i] for i in types.keypoint_type[0]]
    assert names == ['inversion', 'good', 'miss']


def test_ignored_predictions():
    gt = np.array([[[0.0, 0.0], [50.0, 0.0]]])
    poses = np.concatenate((gt, gt, gt + 500))
    ignored = np.array([True, True, True])
    variances = np.full((1, 2), 25.0)
    types = pose_error_types(poses, np.array([3, 2, 1]), gt, variances, ignored)
    names = [PERSON_TYPES[i] for i in types.person_type]
    assert names == ['matched', 'ignored', 'ignored']


def test_ties_and_nan_predictions():
    gt = np.array([[[0.0, 0.0]], [[0.0, 0.0]]])
    poses = np.array([[[0.0, 0.0]], [[0.0, 0.0]], [[np.nan, 0.0]]])
    types = pose_error_types(poses, np.ones(3), gt, np.full((2, 1), 25.0))
    assert types.person.tolist() == [0, 1, -1]
    assert PERSON_TYPES[types.person_type[2]] == 'background'


@pytest.mark.parametrize(
    'thresholds', [dict(close=0.9), dict(close=0.0), dict(good=1.1), dict(match=0.0)]
)
def test_raises_on_invalid_thresholds(thresholds):
    with pytest.raises(ValueError, match='thresholds must satisfy 0 < close'):
        ErrorThresholds(**thresholds)
