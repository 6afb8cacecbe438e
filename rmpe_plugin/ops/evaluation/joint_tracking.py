# SPDX-License-Identifier: Apache-2.0
"""MOTA of single joints, the tracking metric of PoseTrack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Cost of a pair that must not match. It is above the sum of all other costs.
_FORBIDDEN = 1e6


class JointTracking(NamedTuple):
    """Errors of tracked joints.

    Attributes:
        misses (np.ndarray): Annotated joints without a match (K,).
        false_positives (np.ndarray): Predicted joints without a match (K,).
        switches (np.ndarray): Matches to another id than before (K,).
        targets (np.ndarray): Annotated joints (K,).
    """

    misses: np.ndarray
    false_positives: np.ndarray
    switches: np.ndarray
    targets: np.ndarray

    @property
    def mota(self) -> np.ndarray:
        """MOTA of each joint (K,), at most 1; NaN for joints without annotations."""
        errors = self.misses + self.false_positives + self.switches
        return np.where(self.targets > 0, 1 - errors / self.targets.clip(min=1), np.nan)


def joint_tracking(
    gt_keypoints: Sequence[np.ndarray],
    reference_lengths: Sequence[np.ndarray],
    gt_ids: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    ids: Sequence[np.ndarray],
    threshold: float = 0.5,
) -> JointTracking:
    """Match the joints of a video and count the errors.

    Each argument has one array per frame, in the order of the video. Each joint is
    matched for itself: a joint that is at most ``threshold`` reference lengths away
    keeps the id of its last match, also after a gap; all others are matched with the
    smallest sum of distances. These are the rules of py-motmetrics, which PoseTrack's
    evaluation (poseval) uses. poseval also leaves out the last frame of each video, and
    counts frames without people or without predictions as one miss and one false
    positive of each joint. This function does not.

    Args:
        gt_keypoints (Sequence[np.ndarray]): Annotated keypoints (G, K, 2), pixels; NaN
            where not labelled.
        reference_lengths (Sequence[np.ndarray]): Reference length of each person (G,),
            such as the head size; pixels, positive.
        gt_ids (Sequence[np.ndarray]): Ids of the people (G,), integers.
        keypoints (Sequence[np.ndarray]): Predicted keypoints (P, K, 2), pixels; NaN
            where not predicted.
        ids (Sequence[np.ndarray]): Ids of the predictions (P,), integers.
        threshold (float): Largest distance of a match. Defaults to 0.5.

    Returns:
        JointTracking: The counts. Those of several videos can be added.

    Raises:
        ValueError: If the arguments have different numbers of frames, or none.

    Example:
        >>> person = np.zeros((1, 1, 2))
        >>> one, other = np.array([1]), np.array([2])
        >>> gt = [person] * 3, [np.ones(1)] * 3, [one] * 3
        >>> result = joint_tracking(*gt, [person] * 3, [one, one, other])
        >>> result.switches, result.mota.round(3)
        (array([1]), array([0.667]))
    """
    frames = (gt_keypoints, reference_lengths, gt_ids, keypoints, ids)
    if len({len(x) for x in frames}) > 1 or not len(ids):
        raise ValueError(
            'all arguments must have the same number of frames, at least one, got '
            f'{[len(x) for x in frames]}'
        )
    known = np.unique(np.concatenate(gt_ids))
    num_joints = gt_keypoints[0].shape[1]
    # Id that each person's joint was last matched to (K, number of people).
    last = np.full((num_joints, len(known)), np.nan)
    counts = np.zeros((4, num_joints), int)
    for gt, length, gt_id, prediction, prediction_id in zip(*frames, strict=True):
        distance = _distances(gt, length, prediction)  # (K, G, P)
        rows = np.searchsorted(known, gt_id)
        matched = _match(distance, last[:, rows], prediction_id, threshold)
        joint, person, pose = np.nonzero(matched)
        before = last[joint, rows[person]]
        now = prediction_id[pose]
        switched = np.isfinite(before) & (before != now)
        last[joint, rows[person]] = now
        targets = np.isfinite(gt).all(axis=-1).sum(axis=0)
        predicted = np.isfinite(prediction).all(axis=-1).sum(axis=0)
        matches = matched.sum(axis=(1, 2))
        switches = np.bincount(joint[switched], minlength=num_joints)
        counts += (targets - matches, predicted - matches, switches, targets)
    return JointTracking(*counts)


def _distances(
    gt: np.ndarray, lengths: np.ndarray, predictions: np.ndarray
) -> np.ndarray:
    """Distances (K, G, P) in reference lengths; NaN where a joint is missing."""
    x, y = (gt[:, None] - predictions).transpose(3, 2, 0, 1)
    return np.hypot(x, y) / lengths[:, None]


def _match(
    distance: np.ndarray, last: np.ndarray, ids: np.ndarray, threshold: float
) -> np.ndarray:
    """Matches (K, G, P) of the joints of a frame; ``last`` are ids (K, G)."""
    # The import takes half a second.
    from scipy.optimize import linear_sum_assignment

    near = distance <= threshold
    kept = near & (last[..., None] == ids)
    # The first of two people with the same last id keeps it.
    kept &= kept.cumsum(axis=1) == 1
    free = near & ~kept.any(axis=2, keepdims=True) & ~kept.any(axis=1, keepdims=True)
    alone = (free.sum(axis=2, keepdims=True) == 1) & (free.sum(axis=1) == 1)[:, None]
    matched = kept | (free & alone)
    # Few joints have several candidates.
    for joint in np.flatnonzero((free & ~alone).any(axis=(1, 2))):
        cost = np.where(free[joint], distance[joint], _FORBIDDEN)
        person, pose = linear_sum_assignment(cost)
        matched[joint] = kept[joint]
        matched[joint, person, pose] |= free[joint, person, pose]
    return matched
