# SPDX-License-Identifier: Apache-2.0
import numpy as np

from rmpe_plugin.ops import crowd_index


def test_equals_loops():
    rng = np.random.default_rng(1)
    number, num_keypoints = 30, 7
    keypoints = rng.uniform(0, 100, (number, num_keypoints, 2))
    labelled = rng.uniform(size=(number, num_keypoints)) > 0.3
    corner = rng.uniform(0, 60, (number, 2))
    bboxes = np.hstack((corner, corner + rng.uniform(10, 60, (number, 2))))
    image_ids = rng.integers(0, 4, number)

    def count_keypoints(box, person):
        return sum(
            bool(is_labelled) and box[0] <= x <= box[2] and box[1] <= y <= box[3]
            for (x, y), is_labelled in zip(
                keypoints[person], labelled[person], strict=True
            )
        )

    expected = []
    for i in range(number):
        others = [j for j in range(number) if image_ids[j] == image_ids[i] and j != i]
        own = max(1, count_keypoints(bboxes[i], i))
        foreign = sum(count_keypoints(bboxes[i], j) for j in others)
        expected.append(min(1, foreign / own))
    actual = crowd_index(keypoints, labelled, bboxes, image_ids)
    np.testing.assert_allclose(actual, expected)
    assert 0 < np.mean(actual) < 1


def test_no_person_and_one_person():
    empty = crowd_index(
        np.zeros((0, 3, 2)), np.zeros((0, 3), bool), np.zeros((0, 4)), np.zeros(0)
    )
    assert empty.shape == (0,)
    single = crowd_index(
        np.ones((1, 3, 2)),
        np.ones((1, 3), bool),
        np.array([[0.0, 0, 2, 2]]),
        np.zeros(1),
    )
    assert single == [0]
