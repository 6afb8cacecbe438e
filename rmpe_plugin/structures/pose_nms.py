# SPDX-License-Identifier: Apache-2.0
"""Pose NMS on MMPose's predictions of one image, for inference."""

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
        data_sample (PoseDataSample): All predictions of the image, as
            ``mmpose.structures.merge_data_samples`` gives them. Not changed.
        params (PoseNMSParams): Parameters.
        person_scores (np.ndarray, optional): Confidence of each pose (N,), for example
            :func:`alphapose_person_scores`. Defaults to ``None``, the mean of its
            keypoints' scores.

    Returns:
        PoseDataSample: The same sample with the poses that stay as ``pred_instances``,
        most confident first. Where ``params`` merge poses, keypoints and their scores
        are merged, and all else is the most confident one's. A sample without
        predictions is returned as it is.

    Raises:
        ValueError: If the predictions have no ``bboxes``.
    """
    if 'pred_instances' not in data_sample:
        return data_sample
    poses = data_sample.pred_instances
    if 'bboxes' not in poses:
        raise ValueError(
            'pose NMS measures keypoints by the box of their person, but '
            f'pred_instances has only {", ".join(sorted(poses.keys()))}'
        )
    result = parametric_pose_nms(
        poses.keypoints, poses.keypoint_scores, poses.bboxes, params, person_scores
    )
    kept = poses[result.keep]
    kept.keypoints = result.keypoints
    kept.keypoint_scores = result.keypoint_scores
    suppressed = data_sample.new()
    suppressed.pred_instances = kept
    return suppressed


def alphapose_person_scores(data_sample: PoseDataSample) -> np.ndarray:
    """Score people as AlphaPose does: mean + box score + 1.25 times the best keypoint.

    MMPose multiplies the box score by the mean of the keypoint scores above 0.2. From
    alphapose/utils/writer.py of github.com/MVIG-SJTU/AlphaPose.

    Args:
        data_sample (PoseDataSample): Predictions of one image.

    Returns:
        np.ndarray: Scores (N,), 0 to 3.25 for box and keypoint scores of 0 to 1.
    """
    poses = data_sample.pred_instances
    scores = poses.keypoint_scores
    return scores.mean(axis=1) + poses.bbox_scores + 1.25 * scores.max(axis=1)
