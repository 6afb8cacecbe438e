# SPDX-License-Identifier: Apache-2.0
"""Crowd index of a person (CrowdPose)."""

import numpy as np


def crowd_index(
    keypoints: np.ndarray,
    labelled: np.ndarray,
    bboxes: np.ndarray,
    image_ids: np.ndarray,
) -> np.ndarray:
    """Compute the ratio of other people's to own keypoints in each person's box.

    Section 3 of the CrowdPose paper (arXiv 1812.00324), which averages it over the
    people of an image.

    Args:
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        labelled (np.ndarray): Boolean mask (N, K) of the labelled keypoints.
        bboxes (np.ndarray): Boxes (N, 4), xyxy, pixels.
        image_ids (np.ndarray): Id of each person's image (N,).

    Returns:
        np.ndarray: Crowd indices (N,), between 0 and 1; 0 where the box contains no
        keypoint of another person, 1 where it contains at least as many as its own.

    Example:
        >>> keypoints = np.array([[[1.0, 1.0], [2.0, 2.0]], [[2.0, 1.0], [9.0, 9.0]]])
        >>> bboxes = np.array([[0.0, 0.0, 3.0, 3.0], [1.0, 0.0, 10.0, 10.0]])
        >>> crowd_index(keypoints, np.ones((2, 2), bool), bboxes, np.array([7, 7]))
        array([0.5, 1. ])
    """
    indices = np.zeros(len(bboxes))
    for image_id in np.unique(image_ids):
        here = np.flatnonzero(image_ids == image_id)  # (n,)
        low, high = bboxes[here, None, None, :2], bboxes[here, None, None, 2:]
        # (n boxes, n people, K)
        inside = ((keypoints[here] >= low) & (keypoints[here] <= high)).all(axis=-1)
        counts = (inside & labelled[here]).sum(axis=-1)  # (n boxes, n people)
        own = np.diagonal(counts)
        others = counts.sum(axis=1) - own
        indices[here] = np.minimum(1, others / own.clip(min=1))
    return indices
