# SPDX-License-Identifier: Apache-2.0
"""A second pass, whose boxes surround the poses of the first one."""

import numpy as np

# Keypoints with lower scores do not count, and so few are no pose.
MIN_SCORE = 0.2
MIN_KEYPOINTS = 4


def fit_expansion(
    keypoints: np.ndarray, visible: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """Measure how far ground-truth boxes extend beyond the keypoints.

    Args:
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        visible (np.ndarray): Visibility (N, K), above 0 if labelled.
        boxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.

    Returns:
        np.ndarray: Median offsets of the edges (4,) from the extent of the labelled
        keypoints, in widths and heights of that extent, of the people of whom all
        keypoints are labelled.
    """
    complete = (visible > 0).all(axis=1)
    extents = _extents(keypoints[complete], visible[complete] > 0)
    return np.median((boxes[complete] - extents) / _sides(extents), axis=0)


def boxes_of_poses(
    keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray, expansion: np.ndarray
) -> np.ndarray:
    """Compute the boxes of the second pass.

    Args:
        keypoints (np.ndarray): Predicted keypoints (N, K, 2), pixels.
        scores (np.ndarray): Their scores (N, K).
        boxes (np.ndarray): Boxes of the first pass (N, 4), xyxy, pixels.
        expansion (np.ndarray): See :func:`fit_expansion`.

    Returns:
        np.ndarray: Boxes (N, 4): the extent of the keypoints with scores of at least
        :data:`MIN_SCORE`, expanded; that of the first pass if fewer than
        :data:`MIN_KEYPOINTS` keypoints have such a score, or if their extent is empty.
    """
    found = scores >= MIN_SCORE
    extents = _extents(keypoints, found)
    sides = extents[:, 2:] - extents[:, :2]
    usable = (found.sum(axis=1) >= MIN_KEYPOINTS) & (sides > 0).all(axis=1)
    second = boxes.copy()
    second[usable] = extents[usable] + expansion * _sides(extents[usable])
    return second


def _extents(keypoints: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) around the keypoints (N, K, 2) that are used (N, K)."""
    used = used[..., None]
    low = np.where(used, keypoints, np.inf).min(axis=1)
    high = np.where(used, keypoints, -np.inf).max(axis=1)
    return np.concatenate((low, high), axis=1)


def _sides(boxes: np.ndarray) -> np.ndarray:
    """Width, height, width, height of boxes (N, 4)."""
    return np.tile(boxes[:, 2:] - boxes[:, :2], 2)
