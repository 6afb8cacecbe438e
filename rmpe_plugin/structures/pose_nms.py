# SPDX-License-Identifier: Apache-2.0
"""Pose NMS for MMPose's predictions."""

from collections.abc import Sequence

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from rmpe_plugin.ops import PoseNMSParams, PoseNMSResult, parametric_pose_nms_batch


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
        first. If ``params`` merge poses, keypoints and keypoint scores are merged. All
        other fields are those of the kept pose. A sample without predictions is
        returned unchanged.

    Raises:
        ValueError: If the predictions have no ``bboxes``.
    """
    if 'pred_instances' not in data_sample:
        return data_sample
    scores = None if person_scores is None else [person_scores]
    (kept,) = suppress_instances([data_sample.pred_instances], params, scores)
    suppressed = data_sample.new()
    suppressed.pred_instances = kept
    return suppressed


def suppress_instances(
    images: Sequence[InstanceData],
    params: PoseNMSParams,
    person_scores: Sequence[np.ndarray] | None = None,
) -> list[InstanceData]:
    """Apply parametric pose NMS to the poses of several images in one call.

    Args:
        images (Sequence[InstanceData]): Poses of each image. They are not changed.
        params (PoseNMSParams): Parameters.
        person_scores (Sequence[np.ndarray], optional): Confidence of each pose (N,),
            by image. Defaults to ``None``, the mean of its keypoint scores.

    Returns:
        list[InstanceData]: The kept poses of each image, see :func:`suppress_poses`.

    Raises:
        ValueError: If poses have no ``bboxes``.
    """
    for poses in images:
        if 'bboxes' not in poses:
            raise ValueError(
                'pose NMS needs pred_instances.bboxes, got pred_instances with '
                f'{", ".join(sorted(poses.keys()))}'
            )
    results = parametric_pose_nms_batch(
        [poses.keypoints for poses in images],
        [poses.keypoint_scores for poses in images],
        [poses.bboxes for poses in images],
        params,
        person_scores,
    )
    return [_kept(poses, nms) for poses, nms in zip(images, results, strict=True)]


def _kept(poses: InstanceData, result: PoseNMSResult) -> InstanceData:
    """Select the kept poses, with merged keypoints and scores."""
    kept = poses[result.keep]
    kept.keypoints = result.keypoints
    kept.keypoint_scores = result.keypoint_scores
    return kept
