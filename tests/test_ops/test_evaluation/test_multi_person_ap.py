# SPDX-License-Identifier: Apache-2.0
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import multi_person_ap


def slow_ap(gt_keypoints, lengths, keypoints, scores, threshold=0.5):
    """The rules of the evaluation kit, one pair and one detection at a time."""
    num_joints = gt_keypoints[0].shape[1]
    detections = [[] for _ in range(num_joints)]  # (score, correct) of each joint
    annotated = [0] * num_joints
    for people, length, poses, pose_scores in zip(
        gt_keypoints, lengths, keypoints, scores, strict=True
    ):

        def matches(p, g, j, people=people, length=length, poses=poses):
            distance = np.linalg.norm(poses[p, j] - people[g, j])
            return bool(distance <= threshold * length[g])  # False for NaN

        joints_of = [
            [j for j in range(num_joints) if not np.isnan(person[j]).any()]
            for person in people
        ]
        pck = np.zeros((len(poses), len(people)))
        for p in range(len(poses)):
            for g, joints in enumerate(joints_of):
                if joints:
                    pck[p, g] = sum(matches(p, g, j) for j in joints) / len(joints)
        person_of = {}
        if len(people) and len(poses):
            for p in range(len(poses)):
                best = int(pck[p].argmax())
                pck[p, [g for g in range(len(people)) if g != best]] = 0
            for g in range(len(people)):
                best = int(pck[:, g].argmax())
                if pck[best, g] > 0:
                    person_of[best] = g
        for joints in joints_of:
            for j in joints:
                annotated[j] += 1
        for p in range(len(poses)):
            for j in range(num_joints):
                if not np.isnan(poses[p, j]).any():
                    correct = p in person_of and matches(p, person_of[p], j)
                    detections[j].append((pose_scores[p, j], correct))
    return np.array(
        [
            slow_area(found, number) if number else np.nan
            for found, number in zip(detections, annotated, strict=True)
        ]
    )


def slow_area(detections, number):
    """Area below precision over recall in percent, with the ends 0 and 1."""
    recall, precision, correct = [0.0], [0.0], 0
    ranked = sorted(detections, key=lambda detection: -detection[0])
    for rank, (_, is_correct) in enumerate(ranked, start=1):
        correct += is_correct
        recall.append(correct / number)
        precision.append(correct / rank)
    recall.append(1.0)
    precision.append(0.0)
    for i in reversed(range(len(precision) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    steps = range(1, len(recall))
    return 100 * sum((recall[i] - recall[i - 1]) * precision[i] for i in steps)


def random_groups(rng, number, num_joints, max_people=4):
    """Groups with duplicates, missing joints, misses and false positives."""
    groups = []
    for _ in range(number):
        people = rng.integers(0, max_people + 1)
        gt = rng.uniform(0, 100, (people, 1, 2)) + rng.normal(
            0, 10, (people, num_joints, 2)
        )
        source = rng.integers(0, people, rng.integers(0, 6)) if people else []
        poses = gt[source] + rng.normal(0, 6, (len(source), num_joints, 2))
        scores = rng.integers(0, 5, poses.shape[:2]) / 5  # ties
        gt[rng.random(gt.shape[:2]) < 0.2] = np.nan
        poses[rng.random(poses.shape[:2]) < 0.2] = np.nan
        groups.append((gt, rng.uniform(5, 30, people), poses, scores))
    return [list(argument) for argument in zip(*groups, strict=True)]


def test_equals_the_evaluation_kit(golden):
    numbers = np.load(golden / 'mpii_multi_person.npz')
    people, predictions = (numbers[f'{name}_start'][1:-1] for name in ('gt', 'pred'))
    ap = multi_person_ap(
        np.split(numbers['gt_xy'], people),
        np.split(numbers['gt_head'], people),
        np.split(numbers['pred_xys'][..., :2], predictions),
        np.split(numbers['pred_xys'][..., 2], predictions),
    )
    assert ap.shape == (14,)
    assert ap.mean() == pytest.approx(79.39293, abs=1e-5)
    np.testing.assert_allclose(ap, numbers['ap'], atol=1e-6)
    assert ap.mean() == pytest.approx(float(numbers['mean']), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_joints=st.sampled_from([1, 3, 14, 17]))
def test_equals_loop_over_pairs(seed, num_joints):
    rng = np.random.default_rng(seed)
    groups = random_groups(rng, rng.integers(1, 8), num_joints)
    threshold = float(rng.choice([0.2, 0.5, 1.0]))
    np.testing.assert_allclose(
        multi_person_ap(*groups, threshold), slow_ap(*groups, threshold), atol=1e-9
    )


def test_chunks_do_not_change_the_result(monkeypatch):
    groups = random_groups(np.random.default_rng(0), 30, 5)
    expected = multi_person_ap(*groups)
    # The package exports the function by the name of its module.
    module = import_module('rmpe_plugin.ops.evaluation.multi_person_ap')
    monkeypatch.setattr(module, '_CHUNK', 7)
    np.testing.assert_array_equal(multi_person_ap(*groups), expected)


def test_no_predictions_and_no_annotations():
    person, length = np.zeros((1, 2, 2)), np.ones(1)
    none, scores = np.zeros((0, 2, 2)), np.zeros((0, 2))
    assert multi_person_ap([person], [length], [none], [scores]).tolist() == [0, 0]
    assert np.isnan(
        multi_person_ap([none], [np.zeros(0)], [person], [np.ones((1, 2))])
    ).all()
    assert np.isnan(multi_person_ap([none], [np.zeros(0)], [none], [scores])).all()
    # A false positive of another group lowers the precision.
    groups = [person, none], [length, np.zeros(0)], [person, person + 50]
    scores = [np.full((1, 2), 0.5), np.array([[0.9, 0.1]])]
    assert multi_person_ap(*groups, scores).tolist() == [50, 100]


def test_joints_that_are_not_predicted_are_no_detections():
    person = np.zeros((1, 2, 2))
    prediction = person.copy()
    prediction[0, 1] = np.nan
    ap = multi_person_ap(
        [person], [np.ones(1)], [prediction], [np.array([[0.5, np.nan]])]
    )
    assert ap.tolist() == [100, 0]


def test_raises_on_invalid_input():
    person, length = np.zeros((1, 2, 2)), np.ones(1)
    with pytest.raises(ValueError, match='same number of groups, at least one'):
        multi_person_ap([], [], [], [])
    with pytest.raises(ValueError, match='same number of groups'):
        multi_person_ap([person], [length], [person, person], [np.ones((1, 2))])
    with pytest.raises(ValueError, match=r'\(1, 3, 2\).*\(group 0\)'):
        multi_person_ap([person], [length], [np.zeros((1, 3, 2))], [np.ones((1, 3))])
    with pytest.raises(ValueError, match='reference_lengths must be positive'):
        multi_person_ap([person], [0 * length], [person], [np.ones((1, 2))])
    with pytest.raises(ValueError, match='must not be NaN'):
        multi_person_ap([person], [length], [person], [np.full((1, 2), np.nan)])
