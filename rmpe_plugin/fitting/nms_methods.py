# SPDX-License-Identifier: Apache-2.0
"""Methods that choose among the predicted poses of an evaluation split.

A method can be pickled, so that worker processes can evaluate it.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from mmpose.evaluation.functional import oks_nms, soft_oks_nms

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms_batch

from .evaluation_split import EvaluationSplit

Method = Callable[[EvaluationSplit], list[dict]]

PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')
MMPOSE_NMS = {'OKS-NMS': oks_nms, 'soft OKS-NMS': soft_oks_nms}
# The last one is MMPose's default.
OKS_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def no_nms(split: EvaluationSplit) -> list[dict]:
    """Keep all poses.

    Args:
        split (EvaluationSplit): Predicted poses.

    Returns:
        list[dict]: All predictions.
    """
    return [person for people in split.predictions.values() for person in people]


def parametric_nms(split: EvaluationSplit, params: PoseNMSParams) -> list[dict]:
    """Apply parametric pose NMS.

    Args:
        split (EvaluationSplit): Predicted poses.
        params (PoseNMSParams): Parameters.

    Returns:
        list[dict]: Kept predictions, with merged keypoints where ``params`` merge.
    """
    results = parametric_pose_nms_batch(
        [poses.keypoints for poses in split.poses],
        [poses.keypoint_scores for poses in split.poses],
        [poses.bboxes for poses in split.poses],
        params,
        [poses.scores for poses in split.poses],
    )
    kept = []
    for people, result in zip(split.predictions.values(), results, strict=True):
        chosen = [people[i] for i in result.keep]
        if params.merge != 'none':
            merged = np.dstack((result.keypoints, result.keypoint_scores))
            chosen = [
                dict(person, keypoints=pose.ravel().tolist())
                for person, pose in zip(chosen, merged, strict=True)
            ]
        kept += chosen
    return kept


def mmpose_nms(
    split: EvaluationSplit,
    nms: Callable[..., Sequence[int]],
    threshold: float,
) -> list[dict]:
    """Apply one of MMPose's OKS-based NMS functions, with the area of the boxes.

    Args:
        split (EvaluationSplit): Predicted poses.
        nms (Callable): A value of :data:`MMPOSE_NMS`.
        threshold (float): OKS threshold.

    Returns:
        list[dict]: Kept predictions.
    """
    kept = []
    for people, poses in zip(split.predictions.values(), split.poses, strict=True):
        areas = np.prod(poses.bboxes[:, 2:] - poses.bboxes[:, :2], axis=1)
        triples = np.dstack((poses.keypoints, poses.keypoint_scores))
        instances = [
            dict(keypoints=triple, score=score, area=area)
            for triple, score, area in zip(triples, poses.scores, areas, strict=True)
        ]
        kept += [people[i] for i in nms(instances, threshold, sigmas=split.sigmas)]
    return kept


def oks_methods(name: str) -> dict[float, Method]:
    """Build one of MMPose's NMS methods at every threshold that is compared.

    Args:
        name (str): A key of :data:`MMPOSE_NMS`.

    Returns:
        dict[float, Method]: Method by threshold, see :data:`OKS_THRESHOLDS`.
    """
    return {
        threshold: partial(mmpose_nms, nms=MMPOSE_NMS[name], threshold=threshold)
        for threshold in OKS_THRESHOLDS
    }
