# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmpose.registry import METRICS
from sklearn.linear_model import LogisticRegression

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
    metric = METRICS.build(
        dict(
            type='ScoreReliabilityMetric', score_range=(0.5, 1.5), out_dir=str(tmp_path)
        )
    )
    metric.process([], [person([0, 4.9, 5.1, 0], [1.4, 1.4, 0.6, 0.5], [2, 1, 2, 0])])
    metric.process([], [person([99.0], [0.7], [2])])
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


@pytest.mark.parametrize('calibration', [None, (3.0, -1.0)])
def test_fits_a_calibration_on_half_of_the_people(calibration):
    """The fit does not depend on the calibration that is evaluated."""
    rng = np.random.default_rng(0)
    metric = METRICS.build(dict(type='ScoreReliabilityMetric', calibration=calibration))
    for _ in range(800):
        scores = rng.random(17)
        correct = rng.random(17) < 1 / (1 + np.exp(4 - 10 * scores))
        metric.process([], [person(9.0 * ~correct, scores, [2] * 17)])
    metrics = metric.evaluate(size=800)
    assert metrics['reliability/slope'] == pytest.approx(10, rel=0.1)
    assert metrics['reliability/intercept'] == pytest.approx(-4, rel=0.1)
    assert metrics['reliability/error'] > 0.1
    assert metrics['reliability/calibrated_error'] < 0.02
    calibrated = METRICS.build(
        dict(type='ScoreReliabilityMetric', calibration=(10.0, -4.0))
    )
    calibrated.process([], [person([0.0], [0.4], [2])])
    assert calibrated.evaluate(size=1)['reliability/score'] == pytest.approx(0.5)


def test_calibration_equals_scikit_learn():
    rng = np.random.default_rng(1)
    scores = rng.random(5000)
    correct = rng.random(5000) < scores
    slope, intercept = fit_calibration(scores, correct)
    model = LogisticRegression(C=np.inf).fit(scores[:, None], correct)
    assert slope == pytest.approx(model.coef_[0, 0], rel=0.01)
    assert intercept == pytest.approx(model.intercept_[0], rel=0.01)


def test_calibration_of_separable_scores_is_finite():
    slope, intercept = fit_calibration(np.array([0.1, 0.2, 0.8]), np.array([0, 0, 1]))
    assert 0 < slope < 100
    assert np.isfinite(intercept)
