# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, merge_data_samples

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from rmpe_plugin.structures import person_scores, suppress_poses
from tests.test_ops.test_pose_nms import PRESETS, crowd


def sample_of(rng, number):
    """Merged predictions of one image, as MMPose's inferencer has them."""
    people = []
    for pose, score, box in zip(*crowd(rng, number), strict=True):
        person = PoseDataSample(metainfo=dict(img_id=7))
        person.pred_instances = InstanceData(
            keypoints=pose[None],
            keypoint_scores=score[None],
            bboxes=box[None],
            bbox_scores=rng.random(1),
        )
        people.append(person)
    return merge_data_samples(people)


@pytest.mark.parametrize('name', PRESETS)
def test_keeps_the_poses_that_stay(name):
    sample = sample_of(np.random.default_rng(0), 12)
    before = sample.clone()
    params = PoseNMSParams.preset(name)
    poses = sample.pred_instances
    scores = person_scores(poses, 'alphapose')
    for given in (None, scores):
        expected = parametric_pose_nms(
            poses.keypoints,
            poses.keypoint_scores,
            poses.bboxes,
            params,
            given,
        )
        found = suppress_poses(sample, params, given)
        kept = found.pred_instances
        assert found.img_id == 7
        assert 0 < len(kept) < 12
        np.testing.assert_array_equal(kept.keypoints, expected.keypoints)
        np.testing.assert_array_equal(kept.keypoint_scores, expected.keypoint_scores)
        np.testing.assert_array_equal(kept.bboxes, poses.bboxes[expected.keep])
        np.testing.assert_array_equal(
            kept.bbox_scores, poses.bbox_scores[expected.keep]
        )
    for key, value in before.pred_instances.items():
        np.testing.assert_array_equal(poses[key], value)


def test_nobody_found_is_nobody_left():
    params = PoseNMSParams.preset('rmpe-paper')
    with pytest.warns(UserWarning, match='empty list'):
        nobody = merge_data_samples([])
    assert 'pred_instances' not in suppress_poses(nobody, params)

    sample = sample_of(np.random.default_rng(1), 3)
    sample.pred_instances = sample.pred_instances[np.zeros(3, dtype=bool)]
    assert len(suppress_poses(sample, params).pred_instances) == 0

    all_out = PoseNMSParams.from_config(dict(preset='rmpe-paper', min_area=1e9))
    sample = sample_of(np.random.default_rng(2), 3)
    assert len(suppress_poses(sample, all_out).pred_instances) == 0


def test_says_that_boxes_are_missing():
    sample = sample_of(np.random.default_rng(3), 2)
    del sample.pred_instances.bboxes
    with pytest.raises(ValueError, match='has only bbox_scores, keypoint_scores'):
        suppress_poses(sample, PoseNMSParams.preset('rmpe-paper'))
