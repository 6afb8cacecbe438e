# SPDX-License-Identifier: Apache-2.0
"""Scores of persons, from the scores of their boxes and keypoints."""

import numpy as np
from mmengine.structures import InstanceData

# The default of ``keypoint_score_thr`` in MMPose's ``CocoMetric``.
KEYPOINT_SCORE_THR = 0.2


def _bbox(poses: InstanceData) -> np.ndarray:
    return poses.bbox_scores


def _keypoint(poses: InstanceData) -> np.ndarray:
    return poses.keypoint_scores.mean(axis=1)


def _bbox_keypoint(poses: InstanceData) -> np.ndarray:
    scores = poses.keypoint_scores  # (N, K)
    above = scores > KEYPOINT_SCORE_THR
    total = np.where(above, scores, 0).sum(axis=1)  # (N,)
    return poses.bbox_scores * total / above.sum(axis=1).clip(min=1)


def _alphapose(poses: InstanceData) -> np.ndarray:
    best = poses.keypoint_scores.max(axis=1)  # (N,)
    return _keypoint(poses) + poses.bbox_scores + 1.25 * best


SCORE_MODES = dict(
    bbox=_bbox, keypoint=_keypoint, bbox_keypoint=_bbox_keypoint, alphapose=_alphapose
)


def person_scores(poses: InstanceData, mode: str = 'bbox_keypoint') -> np.ndarray:
    """Compute one score per person from the scores of its box and keypoints.

    Args:
        poses (InstanceData): Predictions with ``keypoint_scores`` (N, K) and
            ``bbox_scores`` (N,).
        mode (str): Defaults to ``'bbox_keypoint'``. One of:

            - ``'bbox'``: the box score.
            - ``'keypoint'``: the mean keypoint score.
            - ``'bbox_keypoint'``: the box score times the mean of the keypoint scores
              above 0.2, as in MMPose's ``CocoMetric``.
            - ``'alphapose'``: the mean keypoint score, plus the box score, plus 1.25
              times the highest keypoint score (alphapose/utils/writer.py of
              github.com/MVIG-SJTU/AlphaPose). It is in [0, 3.25] for scores in [0, 1].

    Returns:
        np.ndarray: Scores (N,).

    Raises:
        ValueError: If ``mode`` is unknown.
    """
    if mode not in SCORE_MODES:
        raise ValueError(f'score_mode must be one of {[*SCORE_MODES]}, got {mode!r}')
    return SCORE_MODES[mode](poses)
