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

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .pose_arrays import (
    Array,
    PoseTensors,
    chunk_size,
    concatenate_images,
    convert_like,
)
from .pose_nms_params import PoseNMSParams

# Minimum unit of distances, pixels. Only equal keypoints are similar on a box whose
# width and height are 0.
_MIN_UNIT = 1e-9


class Poses(NamedTuple):
    """Poses in float64; the leading dimensions are (T,) unless noted otherwise.

    Attributes:
        x (Tensor): Horizontal positions of keypoints (..., K), pixels. x and y are NaN
            where either is not finite.
        y (Tensor): Vertical positions (..., K), pixels.
        scores (Tensor): Keypoint scores (..., K), 0 where one is not finite or
            negative or the position is NaN.
        confidence (Tensor): tanh(scores / sigma1) (..., K).
        region (Tensor): ``alpha`` times the box's width and height (..., 2), pixels.

    Example:
        >>> poses = Poses(*torch.ones(4, 3, 17), region=torch.ones(3, 2))
        >>> poses.select(torch.tensor([2, 0])).x.shape
        torch.Size([2, 17])
    """

    x: Tensor
    y: Tensor
    scores: Tensor
    confidence: Tensor
    region: Tensor

    @property
    def radius(self) -> Tensor:
        """``alpha`` times the longer side of the box (...), pixels."""
        return self.region.amax(-1)

    def at(self, *index) -> Poses:
        """Index the leading dimensions of every field."""
        return Poses(*(field[index] for field in self))

    def select(self, index: Tensor) -> Poses:
        """Select poses by indices (P,); several times faster than :meth:`at`."""
        return Poses(*(field.index_select(0, index) for field in self))


def prepare_poses(tensors: PoseTensors, params: PoseNMSParams) -> Poses:
    """Convert keypoints, scores and boxes to the fields that the similarity needs.

    Args:
        tensors (PoseTensors): Poses of all images (T, ...).
        params (PoseNMSParams): Parameters.

    Returns:
        Poses: The same poses (T, ...).

    Example:
        >>> box = torch.tensor([[0, 0, 10, 20]])
        >>> pose = PoseTensors(torch.zeros(1, 3, 2), torch.ones(1, 3), box, None)
        >>> prepare_poses(pose, PoseNMSParams.preset('rmpe-paper')).radius
        tensor([2.], dtype=torch.float64)
    """
    x, y = tensors.keypoints.double().unbind(-1)  # (T, K)
    # 0 where x and y are finite, NaN elsewhere.
    invalid = (x - x) + (y - y)
    scores = tensors.keypoint_scores.double() + invalid
    scores = scores.nan_to_num(0.0, 0.0, 0.0).clamp_(min=0)
    bboxes = tensors.bboxes.double()
    return Poses(
        x=x + invalid,
        y=y + invalid,
        scores=scores,
        confidence=torch.tanh(scores / params.sigma1),
        region=params.alpha * (bboxes[:, 2:] - bboxes[:, :2]),
    )


class Offsets(NamedTuple):
    """Offsets between the keypoints of poses i and j, NaN where either is NaN.

    Attributes:
        dx (Tensor): Horizontal offsets (..., K), pixels.
        dy (Tensor): Vertical offsets (..., K), pixels.
        squared_distance (Tensor): dx^2 + dy^2 (..., K).
    """

    dx: Tensor
    dy: Tensor
    squared_distance: Tensor


def keypoint_offsets(i: Poses, j: Poses) -> Offsets:
    """Compute the offsets between the keypoints of poses i and j.

    Args:
        i (Poses): Poses i.
        j (Poses): Poses j, with leading dimensions that broadcast with those of i.

    Returns:
        Offsets: Positions of i minus those of j.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> i = Poses(zero, zero, one, one, region=torch.tensor([10.0, 20.0]))
        >>> j = i._replace(x=zero + 3, y=zero + 4)
        >>> keypoint_offsets(i, j).squared_distance
        tensor([25.])
    """
    dx, dy = i.x - j.x, i.y - j.y
    return Offsets(dx, dy, dx.square().addcmul_(dy, dy))


def _distance_unit(i: Poses, params: PoseNMSParams) -> Tensor | float:
    """Unit of the distances from the keypoints of pose i (..., 1), pixels."""
    if params.units == 'pixel':
        return 1.0
    return i.radius[..., None].clamp(min=_MIN_UNIT)


def _matched_keypoints(i: Poses, offsets: Offsets, params: PoseNMSParams) -> Tensor:
    """Mask (..., K) of the keypoints of j in the region R around those of i."""
    if params.region == 'circle':
        return offsets.squared_distance <= _distance_unit(i, params) ** 2
    half_width, half_height = (0.5 * i.region[..., None]).unbind(-2)  # (..., 1)
    return (offsets.dx.abs() <= half_width) & (offsets.dy.abs() <= half_height)


def _distance_kernel(i: Poses, offsets: Offsets, params: PoseNMSParams) -> Tensor:
    """The terms of H_sim (..., K), 0 where an offset is NaN."""
    unit = _distance_unit(i, params)
    if params.squared:
        exponent = offsets.squared_distance / (-params.sigma2 * unit**2)
    else:
        exponent = offsets.squared_distance.sqrt().div_(-params.sigma2 * unit)
    return exponent.exp_().nan_to_num_(0.0)


def similarity(i: Poses, j: Poses, offsets: Offsets, params: PoseNMSParams) -> Tensor:
    """Compute the similarity d(i, j) of poses i and j.

    Args:
        i (Poses): Poses i, whose boxes define the region and the unit of distances.
        j (Poses): Poses j, with leading dimensions that broadcast with those of i.
        offsets (Offsets): Offsets between their keypoints.
        params (PoseNMSParams): Parameters.

    Returns:
        Tensor: Similarities (...), float64.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> i = Poses(zero, zero, one, one, region=torch.tensor([10.0, 20.0]))
        >>> similarity(i, i, keypoint_offsets(i, i), PoseNMSParams.preset('rmpe-paper'))
        tensor(3.0800)
    """
    matched = _matched_keypoints(i, offsets, params)  # (..., K)
    terms = (i.confidence * j.confidence).mul_(matched)  # K_sim, (..., K)
    terms.add_(_distance_kernel(i, offsets, params), alpha=params.lambda_)  # H_sim
    total = terms.sum(-1)  # (...)
    return total / terms.shape[-1] if params.normalize else total


def count_matches(i: Poses, offsets: Offsets, params: PoseNMSParams) -> Tensor:
    """Count the keypoints of poses j close to those of poses i.

    Args:
        i (Poses): Poses i.
        offsets (Offsets): Offsets between their keypoints.
        params (PoseNMSParams): Parameters.

    Returns:
        Tensor: Number of keypoints within ``match_radius``, and within ``alpha`` times
        the longer side of the box of i (...), int64.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> i = Poses(zero, zero, one, one, region=torch.tensor([10.0, 20.0]))
        >>> offsets = keypoint_offsets(i, i._replace(x=zero + 3))
        >>> count_matches(i, offsets, PoseNMSParams.preset('rmpe-paper'))
        tensor(1)
    """
    radius = i.radius[..., None].clamp(max=params.match_radius or torch.inf)
    return (offsets.squared_distance <= radius**2).sum(-1)


def suppression_radius(poses: Poses, params: PoseNMSParams) -> Tensor:
    """Distance beyond which keypoints cannot make another pose similar enough.

    If all corresponding keypoints are farther apart than this, no keypoint is matched
    and lambda * H_sim is at most eta.

    Args:
        poses (Poses): Poses (T,).
        params (PoseNMSParams): Parameters.

    Returns:
        Tensor: Radius of each pose (T,), pixels.

    Example:
        >>> zero, one = torch.zeros(1, 17), torch.ones(1, 17)
        >>> poses = Poses(zero, zero, one, one, region=torch.tensor([[10.0, 20.0]]))
        >>> suppression_radius(poses, PoseNMSParams.preset('rmpe-paper'))
        tensor([20.])
    """
    terms = 1 if params.normalize else poses.x.shape[-1]
    # Solve lambda * terms * exp(-distance^p / sigma2) = eta, with p = 1 or 2.
    power = params.sigma2 * math.log(max(1.0, params.lambda_ * terms / params.eta))
    distance = max(1.0, math.sqrt(power) if params.squared else power)  # units
    if params.units == 'pixel':
        return poses.radius.clamp(min=distance)
    return distance * poses.radius.clamp(min=_MIN_UNIT)


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
        >>> import numpy as np
        >>> pose = np.zeros((1, 16, 2))
        >>> box = np.array([[0.0, 0.0, 50.0, 100.0]])
        >>> params = PoseNMSParams.preset('rmpe-mpii')
        >>> pose_similarity(pose, np.ones((1, 16)), box, params).round(2)
        array([[49.28]])
    """
    with torch.inference_mode():
        tensors = concatenate_images([keypoints], [keypoint_scores], [bboxes])
        matrix = _similarity_matrix(prepare_poses(tensors, params), params)
    return convert_like(matrix, keypoints)


def _similarity_matrix(poses: Poses, params: PoseNMSParams) -> Tensor:
    """Similarity (T, T) of all pairs of poses, computed in chunks of rows."""
    number, num_keypoints = poses.x.shape
    step = chunk_size(max(1, number * num_keypoints), poses.x.device)
    rows = [poses.x.new_zeros(0, number)]
    j = poses.at(None)  # (1, T, ...)
    for start in range(0, number, step):
        i = poses.at(slice(start, start + step), None)  # (rows, 1, ...)
        rows.append(similarity(i, j, keypoint_offsets(i, j), params))
    return torch.cat(rows)
