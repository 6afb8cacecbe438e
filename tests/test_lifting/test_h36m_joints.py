# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.apis.inference_3d import convert_keypoint_definition

from rmpe_plugin.datasets.synthetic.body import H36M_JOINTS, sample_body
from rmpe_plugin.lifting import coco_to_h36m


@pytest.mark.parametrize('dimensions', [2, 3])
def test_equals_the_conversion_of_mmpose(dimensions):
    keypoints = np.random.default_rng(0).normal(size=(5, 17, dimensions))
    expected = convert_keypoint_definition(keypoints, 'coco', 'h36m')
    joints, _ = coco_to_h36m(keypoints, np.ones((5, 17)))
    np.testing.assert_allclose(joints, expected, atol=1e-12)


def test_scores_are_the_lowest_of_the_sources():
    scores = np.linspace(0.1, 0.9, 17)
    _, result = coco_to_h36m(np.zeros((17, 2)), scores)
    assert result[0] == scores[11]  # pelvis: the hips
    assert result[7] == scores[5]  # spine: shoulders and hips
    assert result[16] == scores[10]  # right wrist


def test_missing_keypoints_affect_only_joints_that_need_them():
    keypoints = np.zeros((2, 17, 2))
    keypoints[1, 11] = np.nan  # left hip
    joints, _ = coco_to_h36m(keypoints, np.ones((2, 17)))
    missing = np.isnan(joints).any(axis=-1)
    assert not missing[0].any()
    assert [H36M_JOINTS[i] for i in np.flatnonzero(missing[1])] == [
        'root', 'left_hip', 'spine'
    ]  # fmt: skip


def test_error_on_bodies_whose_joints_are_known():
    """All joints but the head are exact for bodies with a straight spine."""
    rng = np.random.default_rng(0)
    bodies = [sample_body(rng, 1.0) for _ in range(200)]
    joints, _ = coco_to_h36m(np.stack([b.joints for b in bodies]), np.ones((200, 17)))
    errors = np.linalg.norm(joints - np.stack([b.h36m_joints for b in bodies]), axis=-1)
    mean = errors.mean(axis=0)
    head = H36M_JOINTS.index('head')
    assert 0.07 < mean[head] < 0.11  # of the body height
    assert np.delete(mean, head).max() < 1e-9


def test_raises_on_other_numbers_of_keypoints():
    with pytest.raises(ValueError, match=r'must be .* got \(16, 2\) and \(16,\)'):
        coco_to_h36m(np.zeros((16, 2)), np.zeros(16))
