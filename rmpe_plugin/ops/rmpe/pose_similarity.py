# SPDX-License-Identifier: Apache-2.0
r"""Similarity of two poses (RMPE, section 3.2).

For poses i and j with keypoints :math:`k^n` and keypoint scores :math:`c^n`,

.. math::
    K_{sim} &= \sum_n \tanh\frac{c_i^n}{\sigma_1} \tanh\frac{c_j^n}{\sigma_1}
               [k_j^n \in R(k_i^n)] \\
    H_{sim} &= \sum_n \exp\frac{-\|k_i^n - k_j^n\|^2}{\sigma_2} \\
    d(i, j) &= K_{sim} + \lambda H_{sim},

where the region R and the unit of distances depend on the box of pose i.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .pose_arrays import (
    Array,
    check_arrays,
    convert_like,
    poses_last,
    take,
    to_float64,
    to_host,
)
from .pose_nms_params import PoseNMSParams

# Minimum unit of distances, pixels. Only equal keypoints are similar on a box whose
# width and height are 0.
_MIN_UNIT = 1e-9
# Limit of the memory, in bytes, for pairs that are compared together: they fit into the
# cache.
CHUNK_BYTES = 2**21
# Intermediate results of one pair of keypoints: up to 16 float64 numbers.
_BYTES_PER_KEYPOINT = 128


def K_sim(pairs: Pairs, params: PoseNMSParams) -> np.ndarray:
    """Number of keypoints of j in the region R of i, weighted by confidence (...)."""
    poses, i, j = pairs.poses, pairs.i, pairs.j
    if params.region == 'circle':
        matched = pairs.square <= take(poses.unit, i) ** 2
    else:
        width, height = take(poses.half_region, i)
        matched = (abs(pairs.dx) <= width) & (abs(pairs.dy) <= height)
    return (take(poses.tanh_c, i) * take(poses.tanh_c, j) * matched).sum(0)


def H_sim(pairs: Pairs, params: PoseNMSParams) -> np.ndarray:
    """Spatial closeness of all keypoints, 1 for each pair at the same place (...)."""
    unit = take(pairs.poses.unit, pairs.i)
    if params.squared:
        closeness = np.exp(pairs.square / (-params.sigma2 * unit**2))
    else:
        closeness = np.exp(np.sqrt(pairs.square) / (-params.sigma2 * unit))
    # NaN where a keypoint is missing
    return np.where(closeness > 0, closeness, 0.0).sum(0)


def d(pairs: Pairs, params: PoseNMSParams) -> np.ndarray:
    """Similarity of poses i and j (...)."""
    similarity = K_sim(pairs, params) + params.lambda_ * H_sim(pairs, params)
    return similarity / len(pairs.square) if params.normalize else similarity


class Poses(NamedTuple):
    """T poses, float64, with the poses on the last axis.

    Attributes:
        k (np.ndarray): Keypoints (2, K, T), x and y in pixels, NaN if one is not
            finite.
        c (np.ndarray): Their scores (K, T), 0 where one is not finite or negative or
            the position is NaN.
        tanh_c (np.ndarray): tanh(c / sigma1) (K, T).
        half_region (np.ndarray): Half of ``alpha`` times width and height of the boxes
            (2, T), pixels.
        radius (np.ndarray): ``alpha`` times their longer side (T,), pixels.
        unit (np.ndarray): Unit of distances (T,), pixels.
    """

    k: np.ndarray
    c: np.ndarray
    tanh_c: np.ndarray
    half_region: np.ndarray
    radius: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(
        cls, k: np.ndarray, c: np.ndarray, bboxes: np.ndarray, params: PoseNMSParams
    ) -> Poses:
        """Prepare keypoints (T, K, 2), their scores (T, K) and boxes (T, 4)."""
        size = bboxes[:, 2:] - bboxes[:, :2]  # (T, 2)
        valid = (size >= 0) & (size < np.inf)
        if not valid.all():
            raise ValueError(
                'bboxes must be finite x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got '
                f'{bboxes[~valid.all(-1)][0].tolist()}'
            )
        k, c, region = poses_last(k), poses_last(c), params.alpha * poses_last(size)
        radius = np.maximum(region[0], region[1])
        in_pixels = params.units == 'pixel'
        finite = np.isfinite(k)
        finite = finite[0] & finite[1]  # (K, T)
        c = np.where(finite & (c > 0) & (c < np.inf), c, 0.0)
        return cls(
            k=np.where(finite, k, np.nan),
            c=c,
            tanh_c=np.tanh(c / params.sigma1),
            half_region=0.5 * region,
            radius=radius,
            unit=np.ones_like(radius) if in_pixels else radius.clip(_MIN_UNIT),
        )

    def chunk_size(self) -> int:
        """Number of pairs that are compared together, which bounds the memory."""
        return max(1, CHUNK_BYTES // (_BYTES_PER_KEYPOINT * len(self.c)))


class Pairs:
    """Pairs of the poses at indices i and j, (...) together."""

    def __init__(self, poses: Poses, i: np.ndarray, j: np.ndarray) -> None:
        self.poses, self.i, self.j = poses, i, j
        self.dx, self.dy = (take(x, i) - take(x, j) for x in poses.k)  # (K, ...)
        # Squared distance (K, ...), NaN where a keypoint is missing.
        self.square = self.dx * self.dx + self.dy * self.dy

    def within(self, radius: float | None) -> np.ndarray:
        """Keypoints (K, ...) of j at most ``alpha`` times the longer side from i's."""
        limit = take(self.poses.radius, self.i)
        limit = limit if radius is None else limit.clip(max=radius)
        return self.square <= limit**2


def pose_similarity(
    keypoints: Array, keypoint_scores: Array, bboxes: Array, params: PoseNMSParams
) -> Array:
    """Compute the similarity of all pairs of poses in an image.

    This is d of RMPE, section 3.2. All arrays must be numpy arrays, or torch tensors on
    one device. The result has the same type and device.

    Args:
        keypoints (Array): Keypoints (N, K, 2), pixels. See :func:`parametric_pose_nms`
            for values that are not finite.
        keypoint_scores (Array): Their scores (N, K).
        bboxes (Array): Boxes of the poses (N, 4), xyxy, pixels.
        params (PoseNMSParams): Parameters. Thresholds, the match count and merging have
            no effect here.

    Returns:
        Array: Similarities (N, N), float64. Element (i, j) uses the box of pose i, so
        the matrix is symmetric only if the boxes are equally large.

    Raises:
        TypeError: See :func:`parametric_pose_nms`.
        ValueError: See :func:`parametric_pose_nms`.

    Example:
        >>> pose = np.zeros((1, 16, 2))
        >>> box = np.array([[0.0, 0.0, 50.0, 100.0]])
        >>> params = PoseNMSParams.preset('rmpe-mpii')
        >>> pose_similarity(pose, np.ones((1, 16)), box, params).round(2)
        array([[49.28]])
    """
    arrays = dict(
        keypoints=[keypoints], keypoint_scores=[keypoint_scores], bboxes=[bboxes]
    )
    check_arrays(arrays)
    number = len(keypoints)
    k, c, boxes = map(to_float64, to_host(arrays).values())
    poses = Poses.of(k, c, boxes, params)
    index = np.arange(number)
    step = max(1, poses.chunk_size() // max(1, number))
    rows = [
        d(Pairs(poses, index[start : start + step, None], index[None]), params)
        for start in range(0, max(1, number), step)
    ]
    return convert_like(np.concatenate(rows), keypoints)
