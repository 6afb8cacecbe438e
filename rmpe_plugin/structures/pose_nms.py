# SPDX-License-Identifier: Apache-2.0
"""Pose NMS for MMPose's predictions of one image."""

import numpy as np
from mmpose.structures import PoseDataSample

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms


def suppress_poses(
    data_sample: PoseDataSample,
    params: PoseNMSParams,
    person_scores: np.ndarray | None = None,
) -> PoseDataSample:
    """Apply parametric pose NMS to the predictions of one image.

    Args:
        data_sample (PoseDataSample): All predictions of the image, as returned by
            ``mmpose.structures.merge_data_samples``. It is not changed.
        params (PoseNMSParams): Parameters.
        person_scores (np.ndarray, optional): Confidence of each pose (N,), for example
            from :func:`person_scores`. Defaults to ``None``, the mean of its keypoint
            scores.

    Returns:
        PoseDataSample: A copy with the kept poses as ``pred_instances``, most confident
        first. If ``params`` merge poses, keypoints and keypoint scores are merged, and
        ``keypoints_visible`` if it is a copy of the scores, as of most heads of MMPose.
        All other fields are those of the kept pose. A sample without predictions is
        returned unchanged.

    Raises:
        ValueError: If the predictions have no ``bboxes``.
    """
    if 'pred_instances' not in data_sample:
        return data_sample
    poses = data_sample.pred_instances
    if 'bboxes' not in poses:
        raise ValueError(
            'pose NMS needs pred_instances.bboxes, got pred_instances with '
            f'{", ".join(sorted(poses.keys()))}'
        )
    result = parametric_pose_nms(
        poses.keypoints, poses.keypoint_scores, poses.bboxes, params, person_scores
    )
    kept = poses[result.keep]
    if np.array_equal(poses.get('keypoints_visible'), poses.keypoint_scores):
        kept.keypoints_visible = result.keypoint_scores
    kept.keypoints = result.keypoints
    kept.keypoint_scores = result.keypoint_scores
    suppressed = data_sample.new()
    suppressed.pred_instances = kept
    return suppressed
