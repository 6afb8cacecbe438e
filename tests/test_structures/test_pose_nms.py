# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, merge_data_samples

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from rmpe_plugin.structures import person_scores, suppress_poses
from tests.test_ops.test_rmpe.pose_nms_reference import PRESETS, random_poses


def merged_sample(rng, number):
    """Merged predictions of one image, as in MMPose's inferencer."""
    samples = []
    for pose, score, box in zip(*random_poses(rng, number), strict=True):
        sample = PoseDataSample(metainfo=dict(img_id=7))
        sample.pred_instances = InstanceData(
            keypoints=pose[None],
            keypoint_scores=score[None],
            bboxes=box[None],
            bbox_scores=rng.random(1),
            keypoints_visible=rng.random(score[None].shape),
        )
        samples.append(sample)
    return merge_data_samples(samples)


@pytest.mark.parametrize('name', PRESETS)
def test_equals_parametric_pose_nms(name):
    sample = merged_sample(np.random.default_rng(0), 12)
    before = sample.clone()
    params = PoseNMSParams.preset(name)
    poses = sample.pred_instances
    scores = person_scores(poses, 'alphapose')
    for ranking_scores in (None, scores):
        expected = parametric_pose_nms(
            poses.keypoints,
            poses.keypoint_scores,
            poses.bboxes,
            params,
            ranking_scores,
        )
        suppressed = suppress_poses(sample, params, ranking_scores)
        kept = suppressed.pred_instances
        assert suppressed.img_id == 7
        assert 0 < len(kept) < 12
        np.testing.assert_array_equal(kept.keypoints, expected.keypoints)
        np.testing.assert_array_equal(kept.keypoint_scores, expected.keypoint_scores)
        np.testing.assert_array_equal(kept.bboxes, poses.bboxes[expected.keep])
        np.testing.assert_array_equal(
            kept.keypoints_visible, poses.keypoints_visible[expected.keep]
        )
        np.testing.assert_array_equal(
            kept.bbox_scores, poses.bbox_scores[expected.keep]
        )
    for key, value in before.pred_instances.items():
        np.testing.assert_array_equal(poses[key], value)


def test_no_predictions_and_no_kept_poses():
    params = PoseNMSParams.preset('rmpe-paper')
    with pytest.warns(UserWarning, match='empty list'):
        empty = merge_data_samples([])
    assert 'pred_instances' not in suppress_poses(empty, params)

    sample = merged_sample(np.random.default_rng(1), 3)
    sample.pred_instances = sample.pred_instances[np.zeros(3, dtype=bool)]
    assert len(suppress_poses(sample, params).pred_instances) == 0

    strict = PoseNMSParams.from_config(dict(preset='rmpe-paper', min_area=1e9))
    sample = merged_sample(np.random.default_rng(2), 3)
    assert len(suppress_poses(sample, strict).pred_instances) == 0


def test_raises_on_missing_boxes():
    sample = merged_sample(np.random.default_rng(3), 2)
    del sample.pred_instances.bboxes
    with pytest.raises(
        ValueError, match='got pred_instances with bbox_scores, keypoint_scores'
    ):
        suppress_poses(sample, PoseNMSParams.preset('rmpe-paper'))
