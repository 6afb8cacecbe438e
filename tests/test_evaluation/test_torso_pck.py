# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.registry import METRICS

from rmpe_plugin.evaluation.metrics.torso_pck import torso_diagonals

NAMES = ('right_hip', 'left_hip', 'right_shoulder', 'left_shoulder', 'neck')
INDEX = {name: index for index, name in enumerate(NAMES)}


def evaluate(people, **settings):
    """Evaluate (predictions, ground truth, mask of the labelled) of each person."""
    metric = METRICS.build(dict(type='TorsoPCK', **settings))
    metric.dataset_meta = dict(keypoint_name2id=INDEX)
    samples = [
        dict(
            pred_instances=dict(keypoints=pred[None]),
            gt_instances=dict(keypoints=gt[None], keypoints_visible=labelled[None]),
        )
        for pred, gt, labelled in people
    ]
    metric.process([], samples)
    return metric.evaluate(size=len(people))


def slow_pck(people, thr):
    """PCK with loops: shares of the joints and their mean."""
    correct = {name: [] for name in NAMES}
    for pred, gt, labelled in people:
        lengths = [
            np.linalg.norm(gt[a] - gt[b])
            for a, b in ((3, 0), (2, 1))
            if labelled[a] and labelled[b]
        ]
        if not lengths:
            continue
        for k, name in enumerate(NAMES):
            if labelled[k]:
                error = np.linalg.norm(pred[k] - gt[k])
                correct[name].append(error < thr * np.mean(lengths))
    shares = {name: np.mean(values) for name, values in correct.items() if values}
    return shares, np.mean([*shares.values()])


@pytest.mark.parametrize('seed', range(3))
def test_equals_loops(seed):
    rng = np.random.default_rng(seed)
    people = []
    for _ in range(50):
        gt = rng.uniform(0, 100, (5, 2))
        people.append((gt + rng.normal(0, 8, (5, 2)), gt, rng.random(5) > 0.3))
    shares, mean = slow_pck(people, 0.2)
    metrics = evaluate(people)
    assert metrics['torso/PCK'] == pytest.approx(mean, abs=1e-6)
    assert metrics['torso/neck'] == pytest.approx(shares['neck'], abs=1e-6)
    hips = (shares['left_hip'] + shares['right_hip']) / 2
    assert metrics['torso/hip'] == pytest.approx(hips, abs=1e-6)


def test_visibility_with_weights():
    # KeypointConverter makes (1, K, 2): visibility and weight.
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 100, (5, 2))
    pred = gt + [[0], [90], [0], [0], [90]]
    labelled = np.array([1, 0, 1, 1, 1])
    packed = np.column_stack((labelled, np.ones(5)))
    expected = evaluate([(pred, gt, labelled)])
    assert evaluate([(pred, gt, packed)]) == expected
    assert expected['torso/neck'] == 0
    assert expected['torso/hip'] == 1


def test_threshold_and_joints():
    gt = np.array([[0, 30], [10, 30], [0, 0], [10, 0], [5, -5]], float)
    labelled = np.array([True] * 5)
    pred = gt + np.array([[0.19], [0.21], [0], [0], [9]]) * np.hypot(10, 30)
    pred[:, 1] = gt[:, 1]
    metrics = evaluate([(pred, gt, labelled)], joints=NAMES[:2])
    assert metrics == {'torso/PCK': 0.5, 'torso/hip': 0.5}
    metrics = evaluate([(pred, gt, labelled)], joints=NAMES[:2], thr=0.3)
    assert metrics['torso/PCK'] == 1


def test_joints_that_nobody_has_are_omitted():
    gt = np.random.default_rng(0).uniform(0, 50, (5, 2))
    metrics = evaluate([(gt, gt, np.array([True] * 4 + [False]))])
    assert metrics == {'torso/PCK': 1, 'torso/hip': 1, 'torso/shoulder': 1}


def test_diagonals():
    keypoints = np.array([[[0, 4], [3, 4], [0, 0], [3, 0], [1, 1]]], float)
    masks = np.array([[1, 1, 1, 1, 0], [1, 0, 1, 1, 1], [1, 0, 1, 0, 1]], dtype=bool)
    lengths = torso_diagonals(np.repeat(keypoints, 3, axis=0), masks, INDEX)
    np.testing.assert_allclose(lengths, [5, 5, 0])
    with pytest.raises(ValueError, match='needs the keypoints right_hip'):
        torso_diagonals(keypoints, masks[:1], {n: INDEX[n] for n in NAMES[1:]})


def test_raises_on_detections_in_the_first_batch():
    # As MMPose's data set makes them for bbox_file: zeros, all visible.
    metric = METRICS.build(dict(type='TorsoPCK'))
    gt = dict(keypoints=np.zeros((1, 5, 2)), keypoints_visible=np.ones((1, 5)))
    sample = dict(pred_instances=dict(keypoints=np.ones((1, 5, 2))), gt_instances=gt)
    with pytest.raises(ValueError, match=r'TorsoPCK needs .*bbox_file=None'):
        metric.process([], [sample])
    # A person without labelled keypoints has an annotation.
    metric.process([], [dict(sample, raw_ann_info=dict(keypoints=[0] * 15))])


def test_errors():
    gt = np.ones((5, 2))
    with pytest.raises(ValueError, match='evaluator.joints must be among .*, got nose'):
        evaluate([(gt, gt, np.ones(5, bool))], joints=['nose'])
    with pytest.raises(ValueError, match='no person has a labelled shoulder'):
        evaluate([(gt, gt, np.zeros(5, bool))])
