# SPDX-License-Identifier: Apache-2.0
"""Similarity and accuracy of single keypoints, as defined by COCO's OKS."""

import numpy as np

# COCO's AP is the mean over these OKS thresholds.
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def oks_variances(areas: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Variances of COCO's object keypoint similarity.

    Args:
        areas (np.ndarray): Area of each person (G,), pixels squared.
        sigmas (np.ndarray): COCO's sigma of each keypoint (K,).

    Returns:
        np.ndarray: Variances (G, K), pixels squared.

    Example:
        >>> oks_variances(np.array([2500.0]), np.array([0.05, 0.1]))
        array([[ 25., 100.]])
    """
    return (np.asarray(areas)[:, None] + np.spacing(1)) * (2 * np.asarray(sigmas)) ** 2


def head_size_variances(
    lengths: np.ndarray, num_keypoints: int, threshold: float = 0.5
) -> np.ndarray:
    """Variances with which the similarity is 0.5 at PCKh's distance.

    A keypoint is then close to a joint if PCKh counts it as correct.

    Args:
        lengths (np.ndarray): Head size, or another reference length, of each person
            (G,), pixels.
        num_keypoints (int): Number of keypoints K.
        threshold (float): PCKh's threshold. Defaults to 0.5.

    Returns:
        np.ndarray: Variances (G, K), pixels squared.

    Example:
        >>> variance = head_size_variances(np.array([20.0]), 1)
        >>> np.exp(-(10**2) / (2 * variance)).round(6)
        array([[0.5]])
    """
    variance = (threshold * np.asarray(lengths, float)) ** 2 / (2 * np.log(2))
    return np.repeat(variance[:, None], num_keypoints, axis=1)


def keypoint_similarity(
    keypoints: np.ndarray, gt: np.ndarray, areas: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Compute the similarity of each keypoint to its ground truth.

    exp(-d^2 / (2 area (2 sigma)^2)). The OKS is its mean over the labelled keypoints.
    From ``computeOks`` of pycocotools.

    Args:
        keypoints (np.ndarray): Predicted keypoints (N, K, 2), pixels.
        gt (np.ndarray): Ground-truth keypoints (N, K, 2), pixels.
        areas (np.ndarray): Area of each instance (N,), pixels squared.
        sigmas (np.ndarray): COCO's sigma of each keypoint (K,).

    Returns:
        np.ndarray: Similarities (N, K), between 0 and 1; 1 for equal keypoints.

    Example:
        >>> gt = np.zeros((1, 2, 2))
        >>> pred = np.array([[[0.0, 0.0], [6.0, 8.0]]])
        >>> keypoint_similarity(pred, gt, np.array([2500.0]), np.full(2, 0.1)).round(3)
        array([[1.   , 0.607]])
    """
    squared = ((keypoints - gt) ** 2).sum(axis=-1)
    return np.exp(-squared / oks_variances(areas, sigmas) / 2)


def keypoint_accuracy(similarity: np.ndarray) -> np.ndarray:
    """Compute the share of COCO's ten OKS thresholds that a similarity reaches.

    Args:
        similarity (np.ndarray): Similarities of any shape.

    Returns:
        np.ndarray: Shares of the thresholds 0.5, 0.55, ..., 0.95 in the same shape,
        between 0 and 1; 0 for NaN.

    Example:
        >>> keypoint_accuracy(np.array([0.4, 0.62, 1.0, np.nan]))
        array([0. , 0.3, 1. , 0. ])
    """
    return (similarity[..., None] >= THRESHOLDS).mean(axis=-1)
