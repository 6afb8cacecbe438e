# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from rmpe_plugin.ops import crowd_index, keypoint_accuracy, keypoint_similarity


@pytest.mark.parametrize('num_keypoints', [1, 14, 17])
def test_its_mean_is_pycocotools_oks(num_keypoints):
    rng = np.random.default_rng(0)
    true, found = rng.uniform(0, 100, (2, num_keypoints, 2))
    sigmas = rng.uniform(0.02, 0.1, num_keypoints)
    visible = rng.permutation(np.arange(num_keypoints) % 3)
    visible[0] = 2
    area = 5000.0

    evaluation = COCOeval(iouType='keypoints')
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation._gts[1, 1] = [
        dict(
            keypoints=np.column_stack((true, visible)).ravel().tolist(),
            area=area,
            bbox=[0, 0, 100, 100],
        )
    ]
    evaluation._dts[1, 1] = [
        dict(keypoints=np.column_stack((found, visible)).ravel().tolist(), score=1)
    ]
    similarity = keypoint_similarity(found[None], true[None], np.array([area]), sigmas)
    assert similarity.shape == (1, num_keypoints)
    np.testing.assert_allclose(
        similarity[0, visible > 0].mean(), evaluation.computeOks(1, 1)[0, 0], rtol=1e-12
    )


def test_accuracy_counts_thresholds():
    similarity = np.array([[1.0, 0.95, 0.94, 0.5, 0.49, 0.0, np.nan]])
    expected = [[1.0, 1.0, 0.9, 0.1, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(keypoint_accuracy(similarity), expected)
    assert keypoint_accuracy(np.zeros((0, 17))).shape == (0, 17)


def test_crowd_index_against_loops():
    rng = np.random.default_rng(1)
    number, num_keypoints = 30, 7
    keypoints = rng.uniform(0, 100, (number, num_keypoints, 2))
    labelled = rng.uniform(size=(number, num_keypoints)) > 0.3
    corner = rng.uniform(0, 60, (number, 2))
    boxes = np.hstack((corner, corner + rng.uniform(10, 60, (number, 2))))
    images = rng.integers(0, 4, number)

    def joints_in(box, person):
        return sum(
            bool(seen) and box[0] <= x <= box[2] and box[1] <= y <= box[3]
            for (x, y), seen in zip(keypoints[person], labelled[person], strict=True)
        )

    expected = []
    for i in range(number):
        others = [j for j in range(number) if images[j] == images[i] and j != i]
        own = max(1, joints_in(boxes[i], i))
        there = sum(joints_in(boxes[i], j) for j in others)
        expected.append(min(1, there / own))
    found = crowd_index(keypoints, labelled, boxes, images)
    np.testing.assert_allclose(found, expected)
    assert 0 < np.mean(found) < 1


def test_crowd_index_of_nobody_and_of_one():
    none = crowd_index(
        np.zeros((0, 3, 2)), np.zeros((0, 3), bool), np.zeros((0, 4)), np.zeros(0)
    )
    assert none.shape == (0,)
    alone = crowd_index(
        np.ones((1, 3, 2)),
        np.ones((1, 3), bool),
        np.array([[0.0, 0, 2, 2]]),
        np.zeros(1),
    )
    assert alone == [0]
