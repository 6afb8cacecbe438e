# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.structures import InstanceData

from rmpe_plugin.structures import person_scores


@pytest.fixture
def poses():
    return InstanceData(
        keypoint_scores=np.array([[0.2, 0.4, 0.9], [1.0, 1.0, 1.0], [0.1, 0.2, 0.0]]),
        bbox_scores=np.array([0.5, 1.0, 0.7]),
    )


@pytest.mark.parametrize(
    ('mode', 'expected'),
    [
        ('bbox', [0.5, 1.0, 0.7]),
        ('keypoint', [0.5, 1.0, 0.1]),
        # Only scores above 0.2 count: two of the first pose, none of the third.
        ('bbox_keypoint', [0.5 * (0.4 + 0.9) / 2, 1.0, 0.0]),
        ('alphapose', [0.5 + 0.5 + 1.25 * 0.9, 3.25, 0.1 + 0.7 + 1.25 * 0.2]),
    ],
)
def test_formula_of_each_mode(poses, mode, expected):
    np.testing.assert_allclose(person_scores(poses, mode), expected)
    assert person_scores(poses[:1], mode).shape == (1,)


def test_no_poses():
    empty = InstanceData(keypoint_scores=np.zeros((0, 3)), bbox_scores=np.zeros(0))
    for mode in ('bbox', 'bbox_keypoint'):
        assert person_scores(empty, mode).shape == (0,)


def test_raises_on_unknown_mode(poses):
    with pytest.raises(ValueError, match="score_mode must be one of .*got 'oks'"):
        person_scores(poses, 'oks')
