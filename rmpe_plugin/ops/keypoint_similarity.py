# SPDX-License-Identifier: Apache-2.0
"""How right each keypoint is, and how crowded each person."""

import numpy as np

# COCO's AP is the mean over these.
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def keypoint_similarity(
    keypoints: np.ndarray, true: np.ndarray, areas: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Similarity of each keypoint to the true one, of which OKS is the mean.

    exp(-d^2 / (2 area (2 sigma)^2)), from ``computeOks`` of pycocotools.

    Args:
        keypoints (np.ndarray): (N, K, 2), pixels.
        true (np.ndarray): (N, K, 2), pixels.
        areas (np.ndarray): Of each person (N,), pixels squared.
        sigmas (np.ndarray): Of each joint (K,), COCO's.

    Returns:
        np.ndarray: (N, K), 1 where they are the same.
    """
    squared = ((keypoints - true) ** 2).sum(axis=-1)
    spread = (areas[:, None] + np.spacing(1)) * (2 * sigmas) ** 2
    return np.exp(-squared / spread / 2)


def keypoint_accuracy(similarity: np.ndarray) -> np.ndarray:
    """Share of COCO's ten thresholds, 0.5 to 0.95, that a similarity reaches.

    Args:
        similarity (np.ndarray): Any shape.

    Returns:
        np.ndarray: The same shape, 0 to 1; NaN reaches none.
    """
    return (similarity[..., None] >= THRESHOLDS).mean(axis=-1)


def crowd_index(
    keypoints: np.ndarray, labelled: np.ndarray, boxes: np.ndarray, images: np.ndarray
) -> np.ndarray:
    """How many joints in a person's box are others', for each that is their own.

    From section 3 of the CrowdPose paper (arXiv 1812.00324), which averages it over
    the people of an image.

    Args:
        keypoints (np.ndarray): (N, K, 2), pixels.
        labelled (np.ndarray): (N, K), whether a keypoint is labelled.
        boxes (np.ndarray): (N, 4), xyxy pixels.
        images (np.ndarray): (N,), which image each person is in.

    Returns:
        np.ndarray: (N,), at most 1; 0 where nobody else has a joint in the box.

    Example:
        >>> joints = np.array([[[1.0, 1.0], [2.0, 2.0]], [[2.0, 1.0], [9.0, 9.0]]])
        >>> boxes = np.array([[0.0, 0.0, 3.0, 3.0], [1.0, 0.0, 10.0, 10.0]])
        >>> crowd_index(joints, np.ones((2, 2), bool), boxes, np.array([7, 7]))
        array([0.5, 1. ])
    """
    indices = np.zeros(len(boxes))
    for image in np.unique(images):
        here = np.flatnonzero(images == image)
        low, high = boxes[here, None, None, :2], boxes[here, None, None, 2:]
        # (box, person, joint)
        inside = ((keypoints[here] >= low) & (keypoints[here] <= high)).all(axis=-1)
        joints = (inside & labelled[here]).sum(axis=-1)
        own = np.diagonal(joints)
        others = joints.sum(axis=1) - own
        indices[here] = np.minimum(1, others / own.clip(min=1))
    return indices
