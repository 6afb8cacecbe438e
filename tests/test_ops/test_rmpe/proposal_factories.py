# SPDX-License-Identifier: Apache-2.0
"""Poses, people and a proposal model that several tests use."""

import numpy as np

from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.ops import GaussianMixture, ProposalModel, align_poses


def two_poses():
    """Two distant aligned poses, arms down and arms raised (2, 17, 2)."""
    pose = sample_body(np.random.default_rng(0), 0.2).joints[:, :2]
    raised = pose.copy()
    raised[[7, 8, 9, 10]] -= [0, 0.6]
    return align_poses(np.stack((pose, raised)), np.ones((2, 17)))


def two_pose_model():
    """A model whose boxes cut the top off for raised arms, in 40 % of cases by 0.3."""
    down = GaussianMixture(
        [1.0], [[0.0, 0.0, 0.0, -0.05]], [np.diag([4e-4, 4e-4, 4e-4, 9e-4])]
    )
    covariance = 4e-4 * np.eye(4)
    covariance[0, 2] = covariance[2, 0] = 3e-4
    up = GaussianMixture(
        [0.4, 0.6], [[0, 0.3, 0, 0], [0, 0.05, 0, 0]], [covariance, covariance]
    )
    overall = GaussianMixture([1.0], [[0, 0.1, 0, 0]], [1e-2 * np.eye(4)])
    return ProposalModel(overall, two_poses(), (down, up), (500, 500))


def sample_people(number, seed=0):
    """People with poses near the two poses: keypoints, visibility and boxes."""
    rng = np.random.default_rng(seed)
    poses = two_poses()[rng.integers(0, 2, number)]
    poses = poses + 0.03 * rng.normal(size=poses.shape)
    scale = rng.uniform(20, 80, (number, 1, 1))
    keypoints = scale * poses + rng.uniform(200, 400, (number, 1, 2))
    visible = (rng.random((number, 17)) < 0.9).astype(float)
    boxes = np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)
    return keypoints, visible, boxes
