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

from .pose_arrays import Array, check_arrays, convert_like, namespace, to_float64
from .pose_nms_params import PoseNMSParams

# Minimum unit of distances, pixels. Only equal keypoints are similar on a box whose
# width and height are 0.
_MIN_UNIT = 1e-9
# Limits of the memory, in bytes, for pairs that are compared together. On the CPU they
# fit into the cache; on a GPU they are large enough to use the whole device.
CPU_CHUNK_BYTES = 2**21
GPU_CHUNK_BYTES = 2**30
# Intermediate results of one pair of keypoints: up to 16 float64 numbers.
_BYTES_PER_KEYPOINT = 128


class Pairs(NamedTuple):
    """Pairs of poses i and j (...), float64.

    Attributes:
        tanh_i (Array): tanh(c_i / sigma1) (..., K).
        tanh_j (Array): tanh(c_j / sigma1) (..., K).
        offset (Array): k_i - k_j (..., K, 2), pixels.
        square (Array): Its squared length (..., K), infinite where a position is not
            finite.
        region (Array): ``alpha`` times width and height of the box of i (..., 1, 2),
            pixels.
        radius (Array): ``alpha`` times its longer side (..., 1), pixels.
        unit (Array): Unit of distances (..., 1), pixels.
    """

    tanh_i: Array
    tanh_j: Array
    offset: Array
    square: Array
    region: Array
    radius: Array
    unit: Array


def K_sim(pairs: Pairs, params: PoseNMSParams) -> Array:
    """Number of keypoints of j in the region R of i, weighted by confidence (...)."""
    if params.region == 'circle':
        matched = pairs.square <= pairs.unit**2
    else:
        inside = abs(pairs.offset) <= 0.5 * pairs.region
        matched = inside[..., 0] & inside[..., 1]
    return (pairs.tanh_i * pairs.tanh_j * matched).sum(-1)


def H_sim(pairs: Pairs, params: PoseNMSParams) -> Array:
    """Spatial closeness of all keypoints, 1 for each pair at the same place (...)."""
    xp = namespace(pairs.square)
    if params.squared:
        distance = pairs.square / pairs.unit**2
    else:
        distance = xp.sqrt(pairs.square) / pairs.unit
    return xp.exp(distance / -params.sigma2).sum(-1)


def d(pairs: Pairs, params: PoseNMSParams) -> Array:
    """Similarity of poses i and j (...)."""
    similarity = K_sim(pairs, params) + params.lambda_ * H_sim(pairs, params)
    return similarity / pairs.square.shape[-1] if params.normalize else similarity


class Poses(NamedTuple):
    """T poses, float64.

    Attributes:
        k (Array): Keypoints (T, K, 2), pixels, NaN where x or y is not finite.
        c (Array): Their scores (T, K), 0 where one is not finite or negative or the
            position is NaN.
        tanh_c (Array): tanh(c / sigma1) (T, K).
        region (Array): ``alpha`` times width and height of the boxes (T, 1, 2), pixels.
        radius (Array): ``alpha`` times their longer side (T, 1), pixels.
        unit (Array): Unit of distances (T, 1), pixels.
    """

    k: Array
    c: Array
    tanh_c: Array
    region: Array
    radius: Array
    unit: Array

    @classmethod
    def of(cls, k: Array, c: Array, bboxes: Array, params: PoseNMSParams) -> Poses:
        """Prepare keypoints (T, K, 2), their scores (T, K) and boxes (T, 4)."""
        xp = namespace(k)
        size = bboxes[:, 2:] - bboxes[:, :2]  # (T, 2)
        valid = (size >= 0) & (size < xp.inf)
        if not valid.all():
            raise ValueError(
                'bboxes must be finite x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got '
                f'{bboxes[~valid.all(-1)][0].tolist()}'
            )
        region = params.alpha * size
        radius = xp.maximum(region[:, :1], region[:, 1:])
        finite = xp.isfinite(k)
        finite = finite[..., :1] & finite[..., 1:]  # (T, K, 1)
        c = xp.where(finite[..., 0] & (c > 0) & (c < xp.inf), c, 0.0)
        return cls(
            k=xp.where(finite, k, xp.nan),
            c=c,
            tanh_c=xp.tanh(c / params.sigma1),
            region=region[:, None],
            radius=radius,
            unit=radius.clip(_MIN_UNIT) if params.units == 'box' else xp.ones_like(radius),
        )

    def pairs(self, i: Array, j: Array) -> Pairs:
        """Pair poses i with poses j, by indices (...) that broadcast."""
        xp = namespace(self.k)
        offset = self.k[i] - self.k[j]
        dx, dy = offset[..., 0], offset[..., 1]
        square = dx * dx + dy * dy
        return Pairs(
            tanh_i=self.tanh_c[i],
            tanh_j=self.tanh_c[j],
            offset=offset,
            square=xp.where(xp.isnan(square), xp.inf, square),
            region=self.region[i],
            radius=self.radius[i],
            unit=self.unit[i],
        )

    def chunk_size(self) -> int:
        """Number of pairs that are compared together, which bounds the memory."""
        on_cpu = isinstance(self.k, np.ndarray)
        limit = CPU_CHUNK_BYTES if on_cpu else GPU_CHUNK_BYTES
        return max(1, limit // (_BYTES_PER_KEYPOINT * self.k.shape[1]))


def pose_similarity(
    keypoints: Array, keypoint_scores: Array, bboxes: Array, params: PoseNMSParams
) -> Array:
    """Compute the similarity of all pairs of poses in an image.

    This is d of RMPE, section 3.2. All arrays must be numpy arrays, or torch tensors on
    one device. The result has the same type.

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
    with np.errstate(all='ignore'):
        poses = Poses.of(*map(to_float64, arrays.values()), params)
        j, step = np.arange(number), max(1, poses.chunk_size() // max(1, number))
        rows = [
            d(poses.pairs(j[start : start + step, None], j), params)
            for start in range(0, max(1, number), step)
        ]
    return convert_like(namespace(poses.k).concatenate(rows), keypoints)
