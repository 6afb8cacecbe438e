# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.ops import joint_tracking, pose_pck

ONE, TWO = np.array([1]), np.array([2])


def joint(*x):
    """Poses (N, 1, 2) of one joint each at (x, 0)."""
    return np.array([[[value, 0.0]] for value in x], float).reshape(-1, 1, 2)


def track(gt, predictions, gt_ids, ids, threshold=0.5):
    lengths = [np.full(len(people), 2.0) for people in gt]
    return joint_tracking(gt, lengths, gt_ids, predictions, ids, threshold)


@pytest.mark.parametrize('video', range(3))
def test_counts_are_those_of_motmetrics(golden, video):
    with np.load(golden / 'tracking.npz') as file:
        gt, lengths, keypoints, ids = (
            file[f'joints_{name}'][video].astype(kind)
            for name, kind in dict(
                gt=float, lengths=float, keypoints=float, ids=int
            ).items()
        )
        expected = file['joints_counts'][video]
    people = [np.arange(gt.shape[1])] * len(gt)
    result = joint_tracking(gt, lengths, people, keypoints, ids)
    np.testing.assert_array_equal(result, expected)


def test_id_is_kept_after_a_gap_even_if_another_joint_is_nearer():
    none = joint()
    frames = [joint(0), none, joint(0)]
    predictions = [joint(0), joint(), joint(0.8, 0)]
    empty = np.zeros(0, int)
    ids = [ONE, empty, np.array([1, 2])]
    result = track(frames, predictions, [ONE, empty, ONE], ids)
    assert (result.switches, result.false_positives, result.misses) == (0, 1, 0)


def test_switch_counts_after_a_gap():
    empty = np.zeros(0, int)
    result = track(
        [joint(0)] * 3,
        [joint(0), joint(), joint(0)],
        [ONE] * 3,
        [ONE, empty, TWO],
    )
    assert (result.switches, result.misses) == (1, 1)
    assert result.mota == pytest.approx(1 - 2 / 3)


def test_distance_is_relative_to_the_length_and_inclusive():
    for x, misses in ((1.0, 0), (1.01, 1)):
        result = track([joint(0)], [joint(x)], [ONE], [ONE])
        assert (result.misses, result.false_positives) == (misses, misses)
    result = track([joint(0)], [joint(1.9)], [ONE], [ONE], threshold=1.0)
    assert result.misses == 0


def test_most_joints_are_matched_then_the_nearest():
    # The nearest pair alone would leave one joint of each side.
    result = track(
        [joint(0, 0.9)], [joint(0.8, 1.8)], [np.array([1, 2])], [ONE + [0, 1]]
    )
    assert result.misses == 0


def test_two_people_do_not_keep_the_same_id():
    gt = [joint(0, 9), joint(9, 0), joint(0, 0.2)]
    people = [np.array([1, 2])] * 3
    # Id 5 is first person 1's, then person 2's.
    predictions, ids = [joint(0), joint(0), joint(0.1)], [np.array([5])] * 3
    result = track(gt, predictions, people, ids)
    assert (result.misses, result.false_positives, result.switches) == (3, 0, 0)


def test_missing_joints_are_not_counted():
    gt, prediction = np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2))
    gt[0, 0] = 0
    prediction[0, 0] = np.nan
    result = track([gt], [prediction], [ONE], [ONE])
    np.testing.assert_array_equal(result, [[1, 0], [0, 1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(result.mota, [0, np.nan])


def test_raises_on_different_numbers_of_frames():
    with pytest.raises(ValueError, match=r'got \[2, 2, 2, 1, 1\]'):
        track([joint(0)] * 2, [joint(0)], [ONE] * 2, [ONE])
    with pytest.raises(ValueError, match='at least one'):
        track([], [], [], [])


def test_pck_of_pairs():
    gt = np.stack((joint(0, 4)[:, 0], joint(0, np.nan)[:, 0]))  # (2, 2, 2)
    poses = np.stack((joint(1, 4)[:, 0], joint(np.nan, 3)[:, 0], joint(3, 9)[:, 0]))
    pck = pose_pck(poses, gt, np.array([1.0, 3.0]))
    np.testing.assert_array_equal(pck, [[1, 1], [0.5, 0], [0, 1]])
