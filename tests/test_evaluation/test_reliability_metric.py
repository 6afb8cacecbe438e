# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmpose.registry import METRICS


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
