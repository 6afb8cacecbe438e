# SPDX-License-Identifier: Apache-2.0
r"""Similarity of the poses of a frame to the tracks of people.

With the IoU of the boxes and the OKS of the keypoints of pose i and track t,

.. math::
    s_{it} = w_i \, \mathrm{OKS}_{it} + (1 - w_i) \, \mathrm{IoU}_{it}, \qquad
    w_i = w \, (1 - \max_{j \ne i} \mathrm{OKS}_{ij}).

Two people whose boxes overlap differ by their poses, which OKS sees. The typical error
of top-down models gives one person two poses: these have a high OKS with each other, so
that their boxes decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .pose_nms_params import PoseNMSParams
from .pose_similarity import Pairs, Poses, d

# Keypoints of pairs that are compared together: 4 MB for each intermediate result.
_CHUNK = 2**19


def box_iou(bboxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the IoU of all pairs of boxes.

    Args:
        bboxes (np.ndarray): Boxes (N, 4), xyxy, pixels.
        others (np.ndarray): Boxes (T, 4), xyxy, pixels.

    Returns:
        np.ndarray: IoU (N, T); 0 for boxes that are not finite or have no area.

    Example:
        >>> box_iou(np.array([[0.0, 0, 4, 2]]), np.array([[2.0, 0, 4, 2]]))
        array([[0.5]])
    """
    x1, y1, x2, y2 = np.asarray(bboxes, float).T[..., None]
    u1, v1, u2, v2 = np.asarray(others, float).T[:, None]
    width = np.minimum(x2, u2) - np.maximum(x1, u1)
    height = np.minimum(y2, v2) - np.maximum(y1, v1)
    shared = width.clip(0) * height.clip(0)
    with np.errstate(invalid='ignore', divide='ignore'):
        iou = shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared)
    return np.where(shared > 0, iou, 0.0)


def weighted_oks(
    keypoints: np.ndarray,
    weights: np.ndarray,
    others: np.ndarray,
    other_weights: np.ndarray,
    variances: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
) -> np.ndarray:
    """Compute the OKS of pairs of poses, with weights of their keypoints.

    The OKS of a pair is the mean of exp(-d^2 / (2 variance)) over the keypoints,
    weighted by the product of the weights of both. All arrays must be finite; a weight
    of 0 leaves a keypoint out.

    Args:
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        weights (np.ndarray): Their weights (N, K), such as keypoint scores.
        others (np.ndarray): Keypoints (T, K, 2), pixels.
        other_weights (np.ndarray): Their weights (T, K).
        variances (np.ndarray): Positive variances of the similarity (T, K), pixels
            squared, see :func:`rmpe_plugin.ops.oks_variances`.
        i (np.ndarray): Index (P,) of the first pose of each pair.
        j (np.ndarray): Index (P,) of the other one.

    Returns:
        np.ndarray: OKS (P,), 0 for pairs without a common keypoint.

    Example:
        >>> pose, weights = np.array([[[3.0, 4.0], [9.0, 9.0]]]), np.array([[1.0, 0]])
        >>> one, pair = np.ones((1, 2)), [np.array([0])] * 2
        >>> other = np.zeros((1, 2, 2))
        >>> weighted_oks(pose, weights, other, one, 12.5 * one, *pair).round(3)
        array([0.368])
    """
    scale = -0.5 / variances

    def oks(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        difference = keypoints[i] - others[j]
        x, y = difference[..., 0], difference[..., 1]
        close = np.exp((x * x + y * y) * scale[j])
        weight = weights[i] * other_weights[j]
        total = weight.sum(axis=-1)
        return (close * weight).sum(axis=-1) / np.where(total > 0, total, 1.0)

    return _in_chunks(oks, i, j, keypoints.shape[1])


def bounded_pose_similarity(
    keypoints: np.ndarray,
    keypoint_scores: np.ndarray,
    others: np.ndarray,
    other_scores: np.ndarray,
    other_bboxes: np.ndarray,
    i: np.ndarray,
    j: np.ndarray,
    params: PoseNMSParams,
) -> np.ndarray:
    """Compute RMPE's similarity d of pairs of poses, in [0, 1].

    It is d of :func:`rmpe_plugin.ops.pose_similarity` with regions and units of the
    track's box, divided by its bound, K (1 + lambda).

    Args:
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        keypoint_scores (np.ndarray): Their scores (N, K).
        others (np.ndarray): Keypoints of the tracks (T, K, 2), pixels.
        other_scores (np.ndarray): Their scores (T, K).
        other_bboxes (np.ndarray): Boxes of the tracks (T, 4), xyxy, pixels.
        i (np.ndarray): Index (P,) of the pose of each pair.
        j (np.ndarray): Index (P,) of its track.
        params (PoseNMSParams): Parameters of the similarity.

    Returns:
        np.ndarray: Similarities (P,).

    Raises:
        ValueError: If a box is not finite or has a negative size.

    Example:
        >>> pose, scores = np.zeros((1, 16, 2)), np.ones((1, 16))
        >>> box = np.array([[0.0, 0.0, 50.0, 100.0]])
        >>> params, pair = PoseNMSParams.preset('rmpe-mpii'), [np.array([0])] * 2
        >>> arrays = pose, scores, pose, scores, box
        >>> bounded_pose_similarity(*arrays, *pair, params).round(3)
        array([1.])
    """
    # Only the boxes of the tracks matter.
    bboxes = np.concatenate((other_bboxes, np.zeros((len(keypoints), 4))))
    poses = Poses.of(
        np.concatenate((others, keypoints)),
        np.concatenate((other_scores, keypoint_scores)),
        bboxes,
        params,
    )
    count = keypoints.shape[1]
    bound = (1 if params.normalize else count) * (1 + params.lambda_)

    def similarity(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return d(Pairs(poses, j, len(others) + i), params) / bound

    return _in_chunks(similarity, i, j, count)


def largest_overlap(similarity: np.ndarray) -> np.ndarray:
    """Compute how similar each pose of a frame is to the most similar other one.

    Args:
        similarity (np.ndarray): Similarities (N, N) of the poses of one frame.

    Returns:
        np.ndarray: Maxima (N,) without the diagonal; 0 for a single pose.

    Example:
        >>> largest_overlap(np.array([[1.0, 0.2], [0.3, 1.0]]))
        array([0.2, 0.3])
    """
    others = similarity - np.diag(np.full(len(similarity), np.inf))
    return others.max(axis=1, initial=0.0)


def combine_similarities(
    pose: np.ndarray, iou: np.ndarray, overlaps: np.ndarray, weight: float
) -> np.ndarray:
    """Combine the similarities of poses and of boxes, see the module's formula.

    Args:
        pose (np.ndarray): Similarities of the poses (N, T), in [0, 1].
        iou (np.ndarray): IoU of the boxes (N, T).
        overlaps (np.ndarray): Overlap of each pose with the others of its frame (N,),
            in [0, 1], see :func:`largest_overlap`.
        weight (float): Weight of the poses without overlap, in [0, 1].

    Returns:
        np.ndarray: Similarities (N, T), in [0, 1].

    Example:
        >>> one = np.ones((2, 1))
        >>> combine_similarities(one, 0 * one, np.array([0.0, 0.5]), weight=0.8)
        array([[0.8],
               [0.4]])
    """
    share = weight * (1 - overlaps)[:, None]
    return share * pose + (1 - share) * iou


def _in_chunks(
    function: Callable, i: np.ndarray, j: np.ndarray, num_keypoints: int
) -> np.ndarray:
    """Values (P,) of a function of pairs, in chunks that bound memory."""
    step = max(1, _CHUNK // num_keypoints)
    starts = range(0, max(1, len(i)), step)
    return np.concatenate([function(i[n : n + step], j[n : n + step]) for n in starts])
