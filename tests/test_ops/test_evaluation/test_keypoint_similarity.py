# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from rmpe_plugin.ops import keypoint_accuracy, keypoint_similarity


@pytest.mark.parametrize('num_keypoints', [1, 14, 17])
def test_mean_equals_oks_of_pycocotools(num_keypoints):
    rng = np.random.default_rng(0)
    gt, pred = rng.uniform(0, 100, (2, num_keypoints, 2))
    sigmas = rng.uniform(0.02, 0.1, num_keypoints)
    visible = rng.permutation(np.arange(num_keypoints) % 3)
    visible[0] = 2
    area = 5000.0

    evaluation = COCOeval(iouType='keypoints')
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation._gts[1, 1] = [
        dict(
            keypoints=np.column_stack((gt, visible)).ravel().tolist(),
            area=area,
            bbox=[0, 0, 100, 100],
        )
    ]
    evaluation._dts[1, 1] = [
        dict(keypoints=np.column_stack((pred, visible)).ravel().tolist(), score=1)
    ]
    similarity = keypoint_similarity(pred[None], gt[None], np.array([area]), sigmas)
    assert similarity.shape == (1, num_keypoints)
    np.testing.assert_allclose(
        similarity[0, visible > 0].mean(), evaluation.computeOks(1, 1)[0, 0], rtol=1e-12
    )


def test_accuracy_is_share_of_reached_thresholds():
    similarity = np.array([[1.0, 0.95, 0.94, 0.5, 0.49, 0.0, np.nan]])
    expected = [[1.0, 1.0, 0.9, 0.1, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(keypoint_accuracy(similarity), expected)
    assert keypoint_accuracy(np.zeros((0, 17))).shape == (0, 17)
