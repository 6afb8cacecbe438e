# SPDX-License-Identifier: Apache-2.0
"""How confident a pose is as a whole."""

import numpy as np
from mmengine.structures import InstanceData

# MMPose's ``keypoint_score_thr``.
KEYPOINT_SCORE_THR = 0.2


def _bbox(poses: InstanceData) -> np.ndarray:
    return poses.bbox_scores


def _keypoint(poses: InstanceData) -> np.ndarray:
    return poses.keypoint_scores.mean(axis=1)


def _bbox_keypoint(poses: InstanceData) -> np.ndarray:
    scores = poses.keypoint_scores
    counted = scores > KEYPOINT_SCORE_THR
    total = np.where(counted, scores, 0).sum(axis=1)
    return poses.bbox_scores * total / counted.sum(axis=1).clip(min=1)


def _alphapose(poses: InstanceData) -> np.ndarray:
    best = poses.keypoint_scores.max(axis=1)
    return _keypoint(poses) + poses.bbox_scores + 1.25 * best


SCORE_MODES = dict(
    bbox=_bbox, keypoint=_keypoint, bbox_keypoint=_bbox_keypoint, alphapose=_alphapose
)


def person_scores(poses: InstanceData, mode: str = 'bbox_keypoint') -> np.ndarray:
    """Score people by their box and keypoints.

    Args:
        poses (InstanceData): ``keypoint_scores`` (N, K) and ``bbox_scores`` (N,).
        mode (str): ``'bbox'``; ``'keypoint'``, the mean over keypoints;
            ``'bbox_keypoint'``, the box's times the mean over keypoints that score
            more than 0.2, as MMPose's ``CocoMetric``; ``'alphapose'``, mean + box
            score + 1.25 times the best keypoint, 0 to 3.25 for scores of 0 to 1, from
            alphapose/utils/writer.py of github.com/MVIG-SJTU/AlphaPose. Defaults to
            ``'bbox_keypoint'``.

    Returns:
        np.ndarray: Scores (N,).

    Raises:
        ValueError: For another mode.
    """
    if mode not in SCORE_MODES:
        raise ValueError(f'score_mode must be one of {[*SCORE_MODES]}, got {mode!r}')
    return SCORE_MODES[mode](poses)
