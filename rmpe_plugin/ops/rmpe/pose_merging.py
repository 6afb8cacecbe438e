# SPDX-License-Identifier: Apache-2.0
"""Merging of kept poses with the poses that they suppress, as in AlphaPose."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .pose_arrays import PoseTensors
from .pose_nms_params import PoseNMSParams
from .pose_similarity import Poses, keypoint_offsets

# Minimum weight of a keypoint, so that the weights of keypoints with score 0 do not sum
# to 0. AlphaPose uses the same constant.
_MIN_WEIGHT = 1e-5


class MergedPoses(NamedTuple):
    """Merged poses in float64; M is their number.

    Attributes:
        indices (Tensor): Indices of the kept poses that suppress others (M,), int64.
        x (Tensor): Horizontal positions of keypoints (M, K), pixels. x and y are NaN
            where the kept pose's are.
        y (Tensor): Vertical positions (M, K), pixels.
        scores (Tensor): Keypoint scores (M, K).
    """

    indices: Tensor
    x: Tensor
    y: Tensor
    scores: Tensor


def merge_clusters(
    poses: Poses, suppressed_by: Tensor, params: PoseNMSParams
) -> MergedPoses:
    """Merge each kept pose with the poses that it suppresses.

    A keypoint becomes the mean of the cluster's keypoints within ``merge_radius``,
    weighted by their scores. Its score becomes the weighted mean, or the maximum, of
    theirs.

    Args:
        poses (Poses): Poses of all images (T, ...).
        suppressed_by (Tensor): Index of the pose that suppresses each pose (T,), its
            own index if it is kept.
        params (PoseNMSParams): Parameters.

    Returns:
        MergedPoses: One pose for each cluster of at least two poses.

    Example:
        >>> x, one = torch.tensor([[4.0], [5.0]]), torch.ones(2, 1)
        >>> poses = Poses(x, 0 * x, one, one, region=torch.full((2, 2), 10.0))
        >>> params = PoseNMSParams.preset('alphapose-coco')
        >>> merge_clusters(poses, torch.tensor([0, 0]), params).x
        tensor([[4.5000]])
    """
    cluster_size = suppressed_by.bincount(minlength=len(suppressed_by))  # (T,)
    kept = (cluster_size > 1).nonzero()[:, 0]  # (M,)
    if len(kept) == 0:
        return MergedPoses(kept, poses.x[kept], poses.y[kept], poses.scores[kept])
    # The S poses of these clusters, sorted by cluster: sums have a fixed order of terms
    # and are therefore deterministic.
    members = (cluster_size[suppressed_by] > 1).nonzero()[:, 0]  # (S,)
    members = members[suppressed_by[members].argsort(stable=True)]
    member, own = poses.select(members), poses.select(suppressed_by[members])

    squared_distance = keypoint_offsets(member, own).squared_distance  # (S, K)
    radius = own.radius.clamp(max=params.merge_radius or torch.inf)[:, None]  # (S, 1)
    near = squared_distance <= radius**2  # (S, K)

    weights = (member.scores.clamp(min=_MIN_WEIGHT) * near)[:, None]  # (S, 1, K)
    fields = torch.stack((member.x, member.y, member.scores), 1)  # (S, 3, K)
    terms = torch.cat((weights, weights * fields.nan_to_num_(0.0)), 1)  # (S, 4, K)
    lengths = cluster_size[kept]
    sums = torch.segment_reduce(terms, 'sum', lengths=lengths)  # (M, 4, K)
    # The weights sum to 0, and the mean is NaN, only where the kept pose's keypoint is
    # NaN. A finite keypoint has distance 0 from itself.
    x, y, scores = (sums[:, 1:] / sums[:, :1]).unbind(1)  # (M, K) each
    if params.merge == 'weighted-max':
        scores = torch.segment_reduce(member.scores * near, 'max', lengths=lengths)
    return MergedPoses(kept, x, y, scores.nan_to_num(0.0))


def write_merged(merged: MergedPoses, tensors: PoseTensors) -> None:
    """Replace the kept poses by the merged poses, except for keypoints that are NaN.

    Args:
        merged (MergedPoses): Merged poses.
        tensors (PoseTensors): Poses of all images. Keypoints (T, K, 2) and keypoint
            scores (T, K) are changed in place.

    Example:
        >>> tensors = PoseTensors(
        ...     torch.zeros(2, 1, 2), torch.ones(2, 1), torch.ones(2, 4), None
        ... )
        >>> one = torch.ones(1, 1)
        >>> write_merged(MergedPoses(torch.tensor([1]), 5 * one, 6 * one, one), tensors)
        >>> tensors.keypoints.tolist()
        [[[0.0, 0.0]], [[5.0, 6.0]]]
    """
    keypoints, keypoint_scores = tensors.keypoints, tensors.keypoint_scores
    positions = torch.stack((merged.x, merged.y), -1).to(keypoints)  # (M, K, 2)
    scores = merged.scores.to(keypoint_scores)  # (M, K)
    valid = merged.x.isfinite() & merged.y.isfinite()  # (M, K)
    kept = merged.indices
    keypoints[kept] = positions.where(valid[..., None], keypoints[kept])
    keypoint_scores[kept] = scores.where(valid, keypoint_scores[kept])
