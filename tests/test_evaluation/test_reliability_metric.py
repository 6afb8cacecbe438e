# SPDX-License-Identifier: Apache-2.0
import sys

import cv2
import numpy as np
import pytest
from mmpose.registry import METRICS
from scipy.optimize import minimize

from rmpe_plugin.evaluation.functional.score_calibration import fit_calibration


def person(errors, scores, visibility):
    """Create an output of the model with one person in a box of 100 x 40 pixels."""
    number = len(errors)
    joints = np.full((number, 2), 50.0)
    keypoints = joints + np.stack((errors, np.zeros(number)), axis=1)
    return dict(
        raw_ann_info=dict(
            keypoints=np.column_stack((joints, visibility)).ravel().tolist(),
            bbox=[0.0, 0.0, 100.0, 40.0],
        ),
        pred_instances=dict(
            keypoints=keypoints[None], keypoint_scores=np.array([scores])
        ),
    )


def test_counts_labelled_keypoints_within_the_threshold(tmp_path):
    metric = METRICS.build(dict(type='ScoreReliabilityMetric', out_dir=str(tmp_path)))
    metric.process([], [person([0, 4.9, 5.1, 0], [0.9, 0.9, 0.1, 0.0], [2, 1, 2, 0])])
    metric.process([], [person([99.0], [0.2], [2])])
    metrics = metric.evaluate(size=2)
    assert metrics['reliability/pck'] == 0.5
    assert metrics['reliability/score'] == pytest.approx(0.525)
    # Gaps 0.1 (two keypoints), 0.1 and 0.2.
    assert metrics['reliability/error'] == pytest.approx(0.125)
    assert cv2.imread(str(tmp_path / 'reliability.png')).std() > 10


def test_raises_without_annotations():
    sample = person([0], [1.0], [2])
    del sample['raw_ann_info']
    metric = METRICS.build(dict(type='ScoreReliabilityMetric'))
    with pytest.raises(ValueError, match='bbox_file=None'):
        metric.process([], [sample])


def test_fits_a_calibration_on_half_of_the_people():
    rng = np.random.default_rng(0)
    metric = METRICS.build(dict(type='ScoreReliabilityMetric'))
    for _ in range(800):
        scores = rng.random(17)
        correct = rng.random(17) < 1 / (1 + np.exp(4 - 10 * scores))
        metric.process([], [person(9.0 * ~correct, scores, [2] * 17)])
    metrics = metric.evaluate(size=800)
    assert metrics['reliability/slope'] == pytest.approx(10, rel=0.1)
    assert metrics['reliability/intercept'] == pytest.approx(-4, rel=0.1)
    assert metrics['reliability/error'] > 0.1
    assert metrics['reliability/calibrated_error'] < 0.02


@pytest.mark.parametrize('number', [3, 20, 5000])
def test_calibration_has_the_targets_of_platt(number):
    rng = np.random.default_rng(1)
    scores = rng.random(number)
    correct = rng.random(number) < scores
    positive = correct.sum()
    target = np.where(
        correct, (positive + 1) / (positive + 2), 1 / (number - positive + 2)
    )

    def loss(parameters):
        logit = parameters[0] * scores + parameters[1]
        return (np.logaddexp(0, logit) - target * logit).mean()

    expected = minimize(loss, (1.0, 0.0), options=dict(gtol=1e-8)).x
    np.testing.assert_allclose(fit_calibration(scores, correct), expected, atol=1e-3)


def test_raises_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.linear_model', None)
    with pytest.raises(ImportError, match=r'pip install "rmpe_plugin\[learn\]"'):
        fit_calibration(np.array([0.1, 0.8]), np.array([False, True]))


def test_calibration_of_separable_scores_is_finite():
    slope, intercept = fit_calibration(np.array([0.1, 0.2, 0.8]), np.array([0, 0, 1]))
    assert 0 < slope < 100
    assert np.isfinite(intercept)
