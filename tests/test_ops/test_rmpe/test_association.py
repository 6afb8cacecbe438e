# SPDX-License-Identifier: Apache-2.0
"""Similarities of poses and tracks compared with loops over pairs and keypoints."""

import math

import numpy as np
import pytest

from rmpe_plugin.ops import (
    PoseNMSParams,
    bounded_pose_similarity,
    box_iou,
    combine_similarities,
    largest_overlap,
    weighted_oks,
)
from tests.test_ops.test_rmpe.pose_nms_reference import (
    PRESETS,
    random_poses,
    slow_similarity,
)


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    areas = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return width * height / (areas - width * height)


def slow_oks(pose, weights, other, other_weights, variances):
    total = weight_sum = 0.0
    for (x, y), w, (u, v), o, variance in zip(
        pose, weights, other, other_weights, variances, strict=True
    ):
        distance = math.hypot(x - u, y - v)
        total += w * o * math.exp(-(distance**2) / (2 * variance))
        weight_sum += w * o
    return total / weight_sum if weight_sum else 0.0


def pairs(function, first, second):
    """Matrix of a function of two items."""
    values = [[function(a, b) for b in second] for a in first]
    return np.reshape(values, (len(first), len(second)))


@pytest.mark.parametrize('sizes', [(0, 0), (3, 0), (0, 3), (1, 1), (7, 5)])
def test_iou_equals_loop_over_pairs(sizes):
    rng = np.random.default_rng(0)
    first, second = (
        np.concatenate((low, low + rng.uniform(0, 60, (n, 2))), axis=1)
        for n in sizes
        for low in [rng.uniform(0, 60, (n, 2))]
    )
    expected = pairs(slow_iou, first, second)
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-12)
    assert sizes != (7, 5) or (expected > 0).sum() > 5


def test_iou_of_invalid_boxes_is_0():
    boxes = np.array([[np.nan, 0, 4, 4], [0, 0, np.inf, 4], [2, 2, 2, 4], [4, 4, 0, 0]])
    with np.errstate(all='raise'):
        iou = box_iou(boxes, np.array([[0.0, 0, 4, 4]]))
    assert iou.tolist() == [[0]] * 4


@pytest.mark.parametrize('chunk', [1, 2**19])
@pytest.mark.parametrize('sizes', [(0, 0), (3, 0), (0, 3), (1, 1), (7, 5)])
def test_oks_equals_loop_over_keypoints(sizes, chunk, monkeypatch):
    monkeypatch.setattr('rmpe_plugin.ops.rmpe.association._CHUNK', chunk)
    rng = np.random.default_rng(1)
    n, t = sizes
    pose, other = (rng.uniform(0, 30, (m, 17, 2)) for m in sizes)
    weights, other_weights = (
        rng.uniform(0, 1, (m, 17)) * (rng.random((m, 17)) < 0.8) for m in sizes
    )
    weights[:1] = 0
    variances = rng.uniform(10, 400, (t, 17))
    expected = [
        slow_oks(pose[i], weights[i], other[j], other_weights[j], variances[j])
        for i in range(n)
        for j in range(t)
    ]
    i, j = np.indices(sizes).reshape(2, -1)
    oks = weighted_oks(pose, weights, other, other_weights, variances, i, j)
    np.testing.assert_allclose(oks, expected, rtol=1e-12)
    assert sizes != (7, 5) or (oks[5:] > 0.05).all()


@pytest.mark.parametrize('chunk', [1, 2**19])
@pytest.mark.parametrize('preset', PRESETS)
def test_pose_similarity_is_that_of_pose_nms(preset, chunk, monkeypatch):
    monkeypatch.setattr('rmpe_plugin.ops.rmpe.association._CHUNK', chunk)
    params = PoseNMSParams.preset(preset)
    poses, scores, boxes = random_poses(np.random.default_rng(2), 9)
    # Rows of the slow matrix use the box of the track.
    full = slow_similarity(poses, scores, boxes, params)
    expected = full[:4, 4:].T / (17 * (1 + params.lambda_))
    i, j = np.indices((5, 4)).reshape(2, -1)
    similarity = bounded_pose_similarity(
        poses[4:], scores[4:], poses[:4], scores[:4], boxes[:4], i, j, params
    )
    np.testing.assert_allclose(similarity, expected.ravel(), rtol=1e-12)
    assert 0.1 < similarity.max() <= 1


@pytest.mark.parametrize('sizes', [(0, 0), (3, 0), (0, 3)])
def test_pose_similarity_without_poses_or_tracks(sizes):
    arrays = [x for n in sizes for x in (np.zeros((n, 17, 2)), np.zeros((n, 17)))]
    params = PoseNMSParams.preset('rmpe-mpii')
    boxes, none = np.zeros((sizes[1], 4)), np.zeros(0, int)
    similarity = bounded_pose_similarity(*arrays, boxes, none, none, params)
    assert similarity.shape == (0,)


def test_largest_overlap_leaves_out_the_pose_itself():
    similarity = np.array([[1, 0.2, 0.9], [0.2, 1, 0.1], [0.9, 0.1, 1]])
    assert largest_overlap(similarity).tolist() == [0.9, 0.2, 0.9]
    assert largest_overlap(np.ones((1, 1))).tolist() == [0]
    assert largest_overlap(np.ones((0, 0))).shape == (0,)


def test_combination_equals_loop():
    rng = np.random.default_rng(3)
    pose, iou, overlaps = rng.random((4, 3)), rng.random((4, 3)), rng.random(4)
    combined = combine_similarities(pose, iou, overlaps, 0.6)
    for i, j in np.ndindex(4, 3):
        share = 0.6 * (1 - overlaps[i])
        expected = share * pose[i, j] + (1 - share) * iou[i, j]
        assert combined[i, j] == pytest.approx(expected, rel=1e-12)


def test_only_boxes_decide_where_two_poses_are_of_one_person():
    pose, iou = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    combined = combine_similarities(pose, iou, np.ones(2), 0.6)
    np.testing.assert_array_equal(combined, iou)
