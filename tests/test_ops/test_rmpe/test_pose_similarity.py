# SPDX-License-Identifier: Apache-2.0
"""Pose similarity compared with a loop over pairs and keypoints."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rmpe_plugin.ops import PoseNMSParams, pose_similarity
from tests.test_ops.test_rmpe.pose_nms_reference import (
    random_params,
    random_poses,
    slow_similarity,
)

PAPER = PoseNMSParams.preset('rmpe-paper')


def test_equals_loop_over_pairs():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        num_keypoints = int(rng.choice([1, 3, 17]))
        poses = random_poses(rng, int(rng.integers(1, 7)), num_keypoints=num_keypoints)
        p = random_params(rng, 17)
        p = replace(p, normalize=bool(rng.random() < 0.5))
        np.testing.assert_allclose(
            pose_similarity(*poses, p),
            slow_similarity(*poses, p),
            rtol=1e-12,
            atol=1e-12,
        )


def test_similarity_of_equal_poses():
    # The authors' code gives 16 equal poses of MPII 16 + 2.08 * 16.
    pose, box = np.zeros((1, 16, 2)), np.array([[0.0, 0, 40, 100]])
    params = PoseNMSParams.preset('rmpe-mpii')
    similarity = pose_similarity(pose, np.ones((1, 16)), box, params)
    assert similarity.item() == pytest.approx(49.28)


def test_row_i_uses_the_box_of_pose_i():
    keypoints = np.array([[[0.0, 0.0]], [[6.0, 0.0]]])
    boxes = np.array([[0.0, 0, 100, 100], [0, 0, 10, 10]])
    params = PoseNMSParams.preset('rmpe-mpii')
    similarity = pose_similarity(keypoints, np.ones((2, 1)), boxes, params)
    # 6 pixels are 0.6 units of the box with side 100, and 6 units of that with side 10.
    assert similarity[0, 1] == pytest.approx(1 + 2.08 * math.exp(-0.6 / 2.08))
    assert similarity[1, 0] == pytest.approx(2.08 * math.exp(-6 / 2.08))


def test_no_poses():
    empty = np.zeros((0, 5, 2)), np.zeros((0, 5)), np.zeros((0, 4))
    assert pose_similarity(*empty, PAPER).shape == (0, 0)


def test_chunk_size_does_not_change_similarity(monkeypatch):
    poses = random_poses(np.random.default_rng(4), 30)
    expected = pose_similarity(*poses, PAPER)
    monkeypatch.setattr('rmpe_plugin.ops.rmpe.pose_similarity.CHUNK_BYTES', 12800)
    np.testing.assert_array_equal(pose_similarity(*poses, PAPER), expected)


def test_result_is_an_ordinary_tensor():
    poses = random_poses(np.random.default_rng(5), 3)
    tensors = [torch.from_numpy(array).requires_grad_() for array in poses]
    similarity = pose_similarity(*tensors, PAPER)
    assert not similarity.is_inference()
    assert not similarity.requires_grad
    np.testing.assert_array_equal(similarity, pose_similarity(*poses, PAPER))
