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
            :func:`person_scores`. Defaults to ``None``, the mean of its
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
