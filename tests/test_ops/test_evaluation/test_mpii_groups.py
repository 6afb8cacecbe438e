# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.ops import poses_in_group


def slow(keypoints, positions, scales, joints):
    """The rule with loops."""
    corners = [
        (x + dx * 50 * scale, y + dy * 50 * scale)
        for (x, y), scale in zip(positions, scales, strict=True)
        for dx in (-1, 1)
        for dy in (-1, 1)
    ]
    x1, y1 = min(x for x, _ in corners), min(y for _, y in corners)
    x2, y2 = max(x for x, _ in corners), max(y for _, y in corners)
    result = []
    for pose in keypoints:
        x = sum(pose[j][0] for j in joints) / len(joints)
        y = sum(pose[j][1] for j in joints) / len(joints)
        result.append(bool(x1 <= x <= x2 and y1 <= y <= y2))
    return result


@pytest.mark.parametrize('seed', range(5))
def test_equals_loops(seed):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 500, (40, 16, 2))
    keypoints[3, 6] = np.nan
    positions, scales = rng.uniform(100, 400, (3, 2)), rng.uniform(0.3, 2, 3)
    for joints in ((6, 7), (0, 5, 9)):
        mask = poses_in_group(keypoints, positions, scales, joints)
        expected = slow(keypoints, positions, scales, joints)
        assert mask.tolist() == expected
    assert not poses_in_group(keypoints, positions, scales)[3]


def test_edges_and_empty_arrays():
    poses = np.zeros((2, 16, 2))
    poses[:, 6:8] = [[[150, 50]], [[150.1, 50]]]
    one = np.array([[100.0, 100.0]]), np.array([1.0])
    assert poses_in_group(poses, *one).tolist() == [True, False]
    assert poses_in_group(np.zeros((0, 16, 2)), *one).shape == (0,)
    with pytest.raises(ValueError, match='must have people with positive scales'):
        poses_in_group(poses, np.zeros((0, 2)), np.zeros(0))
    with pytest.raises(ValueError, match=r'got \[0\.0\]'):
        poses_in_group(poses, one[0], np.zeros(1))
