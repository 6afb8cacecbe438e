# SPDX-License-Identifier: Apache-2.0
"""Parametric pose NMS: suppress duplicate poses of one person (RMPE, section 3.2).

Poses are processed from the most to the least confident. A pose is kept unless an
earlier kept pose suppresses it. A kept pose suppresses every less confident pose that
is similar to it. See :mod:`rmpe_plugin.ops.rmpe.pose_similarity` for the similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .pose_arrays import (
    Array,
    chunk_size,
    concatenate_images,
    convert_like,
    group_by_size,
)
from .pose_merging import MergedPoses, merge_clusters, write_merged
from .pose_nms_params import PoseNMSParams
from .pose_similarity import (
    Poses,
    count_matches,
    keypoint_offsets,
    prepare_poses,
    similarity,
    suppression_radius,
)

# AlphaPose's area of a pose is that of its bounds, enlarged by this factor per side.
_AREA_FACTOR = 1.5
# Poses per step of the greedy selection, which bounds the time for long chains of
# poses that suppress one another.
_BLOCK = 256


class PoseNMSResult(NamedTuple):
    """Result of pose NMS for one image with N poses, of which M are kept.

    Attributes:
        keep (Array): Indices of the kept poses (M,), int64, most confident first.
        cluster_of (Array): For each pose the index of the pose that suppresses it (N,),
            int64: its own index if it is kept, -1 if a threshold filtered out its
            cluster.
        keypoints (Array): Keypoints of the kept poses (M, K, 2), pixels, merged if
            ``params.merge`` is not ``'none'``.
        keypoint_scores (Array): Their scores (M, K).

    Example:
        >>> pose, box = np.zeros((1, 17, 2)), np.array([[0.0, 0.0, 50.0, 100.0]])
        >>> params = PoseNMSParams.preset('rmpe-paper')
        >>> result = parametric_pose_nms(pose, np.ones((1, 17)), box, params)
        >>> result.keypoints.shape
        (1, 17, 2)
    """

    keep: Array
    cluster_of: Array
    keypoints: Array
    keypoint_scores: Array


class _Bounds(NamedTuple):
    """Smallest rectangles around finite keypoints (...), pixels; inverted if none."""

    x_min: Tensor
    y_min: Tensor
    x_max: Tensor
    y_max: Tensor


def _pose_bounds(poses: Poses | MergedPoses) -> _Bounds:
    return _Bounds(
        x_min=poses.x.nan_to_num(torch.inf).amin(-1),
        y_min=poses.y.nan_to_num(torch.inf).amin(-1),
        x_max=poses.x.nan_to_num(-torch.inf).amax(-1),
        y_max=poses.y.nan_to_num(-torch.inf).amax(-1),
    )


def _candidate_pairs(bounds: _Bounds, radius: Tensor) -> Tensor:
    """Find the pairs of poses that are close enough for i to suppress j.

    Args:
        bounds (_Bounds): Bounds of poses in the order of their confidence (B, N).
        radius (Tensor): Their suppression radii (B, N), pixels.

    Returns:
        Tensor: Boolean mask (B, N, N), indexed (image, j, i), of the pairs with i
        before j whose bounds are at most the radius of i apart.
    """
    # Rounding must not lose a pair.
    radius = 1.000001 * radius
    near = (bounds.x_min - radius)[:, None] <= bounds.x_max[..., None]  # (B, N, N)
    near &= (bounds.x_max + radius)[:, None] >= bounds.x_min[..., None]
    near &= (bounds.y_min - radius)[:, None] <= bounds.y_max[..., None]
    near &= (bounds.y_max + radius)[:, None] >= bounds.y_min[..., None]
    return near.tril_(-1)


def _suppresses(i: Poses, j: Poses, params: PoseNMSParams) -> Tensor:
    """Elimination criterion (...): whether poses i suppress less confident poses j."""
    offsets = keypoint_offsets(i, j)
    suppresses = similarity(i, j, offsets, params) > params.eta
    if params.match_count is not None:
        suppresses |= count_matches(i, offsets, params) >= params.match_count
    return suppresses


def _suppression_mask(
    poses: Poses, candidates: Tensor, index: Tensor, params: PoseNMSParams
) -> Tensor:
    """Evaluate the elimination criterion for candidate pairs.

    Args:
        poses (Poses): All poses (T,).
        candidates (Tensor): Candidate pairs (B, N, N), indexed (image, j, i), bool.
        index (Tensor): Index of each pose (B, N) into ``poses``.
        params (PoseNMSParams): Parameters.

    Returns:
        Tensor: Whether i suppresses j if i is kept (B, N, N), indexed (image, j, i),
        bool.
    """
    image, *pair = candidates.nonzero(as_tuple=True)  # (P,) each
    step = chunk_size(poses.x.shape[-1], candidates.device)
    j, i = (index[image, rank].split(step) for rank in pair)
    suppresses = [
        _suppresses(poses.select(i_chunk), poses.select(j_chunk), params)
        for i_chunk, j_chunk in zip(i, j, strict=True)
    ]
    return candidates.index_put((image, *pair), torch.cat(suppresses))


def _greedy_selection(suppresses: Tensor) -> Tensor:
    """Select poses greedily: a pose is kept if no earlier kept pose suppresses it.

    Args:
        suppresses (Tensor): Whether i suppresses j if i is kept (B, N, N), indexed
            (image, j, i), bool, only for i before j.

    Returns:
        Tensor: The first kept pose that suppresses each pose; the pose itself if it is
        kept (B, N), int64.
    """
    number = suppresses.shape[1]
    keep = suppresses.new_ones(suppresses.shape[:2])  # (B, N)
    for start in range(0, number, _BLOCK):
        block, rest = slice(start, start + _BLOCK), slice(start + _BLOCK, None)
        keep[:, block] = kept = _keep_mask(suppresses[:, block, block], keep[:, block])
        if start + _BLOCK < number:
            keep[:, rest] &= ~(suppresses[:, rest, block] & kept[:, None]).any(-1)
    kept_suppressors = (suppresses & keep[:, None]).view(torch.uint8)  # (B, N, N)
    own_rank = torch.arange(number, device=suppresses.device)
    return own_rank.where(keep, kept_suppressors.argmax(-1))


def _keep_mask(suppresses: Tensor, candidates: Tensor) -> Tensor:
    """Greedy selection without a loop over poses.

    Args:
        suppresses (Tensor): As in :func:`_greedy_selection`.
        candidates (Tensor): Poses that may be kept (B, N), bool.

    Returns:
        Tensor: Poses that are kept (B, N), bool.
    """
    keep = candidates
    # Each iteration makes final every pose whose suppressors are final, so at least one
    # more. A few iterations are usually enough.
    while True:
        previous = keep
        keep = candidates & ~(suppresses & previous[:, None]).any(-1)
        if torch.equal(previous, keep):
            return keep


def _passes_thresholds(poses: Poses | MergedPoses, params: PoseNMSParams) -> Tensor:
    """Check which poses (T,) reach the thresholds of score and area."""
    passes = torch.ones_like(poses.scores[:, 0], dtype=torch.bool)
    if params.max_score_thr > 0:
        passes &= poses.scores.amax(-1) >= params.max_score_thr
    if params.mean_score_thr > 0:
        passes &= poses.scores.mean(-1) >= params.mean_score_thr
    if params.min_area > 0:
        bounds = _pose_bounds(poses)
        width = _AREA_FACTOR * (bounds.x_max - bounds.x_min).clamp(min=0)
        height = _AREA_FACTOR * (bounds.y_max - bounds.y_min).clamp(min=0)
        passes &= width * height >= params.min_area
    return passes


def _rank_and_suppress(
    poses: Poses, person_scores: Tensor, sizes: np.ndarray, params: PoseNMSParams
) -> tuple[Tensor, Tensor]:
    """Rank the poses of each image by confidence and suppress duplicates.

    Args:
        poses (Poses): Poses of all images (T,).
        person_scores (Tensor): Confidence of each pose (T,), not NaN.
        sizes (np.ndarray): Number of poses of each image.
        params (PoseNMSParams): Parameters.

    Returns:
        tuple[Tensor, Tensor]: Indices of the poses (T,), image after image, most
        confident first; and the index of the pose that suppresses each pose (T,), its
        own index if it is kept.
    """
    bounds, radius = _pose_bounds(poses), suppression_radius(poses, params)
    ranking = torch.empty(len(radius), dtype=torch.long, device=radius.device)
    suppressed_by = torch.empty_like(ranking)
    for index in group_by_size(sizes, radius.device):  # (B, N)
        # Equal scores keep the order of the input.
        order = person_scores.take(index).argsort(descending=True, stable=True)
        ranked = index.gather(1, order)
        ranked_bounds = _Bounds(*(side.take(ranked) for side in bounds))
        candidates = _candidate_pairs(ranked_bounds, radius.take(ranked))  # (B, N, N)
        suppresses = _suppression_mask(poses, candidates, ranked, params)
        ranking[index] = ranked
        suppressed_by[ranked] = ranked.gather(1, _greedy_selection(suppresses))
    return ranking, suppressed_by


class _Results(NamedTuple):
    """Results of all images, one image after another.

    The fields are those of :class:`PoseNMSResult`, and ``is_kept``: whether each pose
    is kept (T,), image after image, most confident first.
    """

    keep: Tensor
    cluster_of: Tensor
    keypoints: Tensor
    keypoint_scores: Tensor
    is_kept: Tensor


# Small operations are 20% faster in inference mode.
@torch.inference_mode()
def _suppress(
    keypoints: Sequence[Array],
    keypoint_scores: Sequence[Array],
    bboxes: Sequence[Array],
    person_scores: Sequence[Array] | None,
    sizes: np.ndarray,
    params: PoseNMSParams,
) -> _Results:
    """Suppress, merge and filter the poses of images with ``sizes`` poses each."""
    tensors = concatenate_images(keypoints, keypoint_scores, bboxes, person_scores)
    poses = prepare_poses(tensors, params)

    # Suppression
    confidence = tensors.person_scores
    confidence = poses.scores.mean(-1) if confidence is None else confidence.double()
    confidence = confidence.nan_to_num(nan=-torch.inf)
    ranking, suppressed_by = _rank_and_suppress(poses, confidence, sizes, params)

    # Merging and thresholds, which apply before and after merging
    passes = _passes_thresholds(poses, params)
    if params.merge != 'none':
        merged = merge_clusters(poses, suppressed_by, params)
        if len(merged.indices) > 0:
            passes[merged.indices] &= _passes_thresholds(merged, params)
            write_merged(merged, tensors)

    # Indices within each image
    start = torch.from_numpy((sizes.cumsum() - sizes).repeat(sizes)).to(passes.device)
    is_kept = (suppressed_by[ranking] == ranking) & passes[ranking]
    kept = ranking[is_kept]
    return _Results(
        keep=kept - start[kept],
        cluster_of=(suppressed_by - start).where(passes[suppressed_by], -1),
        keypoints=tensors.keypoints[kept],
        keypoint_scores=tensors.keypoint_scores[kept],
        is_kept=is_kept,
    )


def parametric_pose_nms_batch(
    keypoints: Sequence[Array],
    keypoint_scores: Sequence[Array],
    bboxes: Sequence[Array],
    params: PoseNMSParams,
    person_scores: Sequence[Array] | None = None,
) -> list[PoseNMSResult]:
    """Apply parametric pose NMS to each of several images.

    This is faster than a loop over :func:`parametric_pose_nms`.

    Args:
        keypoints (Sequence[Array]): Keypoints of each image (N, K, 2), pixels. N may
            differ between images, K may not.
        keypoint_scores (Sequence[Array]): Their scores (N, K).
        bboxes (Sequence[Array]): Boxes of the poses (N, 4), xyxy, pixels.
        params (PoseNMSParams): Parameters.
        person_scores (Sequence[Array], optional): Confidence of each pose (N,).
            Defaults to ``None``, the mean of its keypoint scores.

    Returns:
        list[PoseNMSResult]: Result of :func:`parametric_pose_nms` for each image.

    Raises:
        TypeError: See :func:`parametric_pose_nms`.
        ValueError: See :func:`parametric_pose_nms`.

    Example:
        >>> pose, box = np.zeros((2, 17, 2)), np.array([[0.0, 0.0, 50.0, 100.0]] * 2)
        >>> scores, params = np.ones((2, 17)), PoseNMSParams.preset('rmpe-paper')
        >>> images = [[array, array[:1]] for array in (pose, scores, box)]
        >>> [result.keep for result in parametric_pose_nms_batch(*images, params)]
        [array([0]), array([0])]
    """
    if len(keypoints) == 0:
        return []
    sizes = np.array([len(array) for array in keypoints])
    *fields, is_kept = _suppress(
        keypoints, keypoint_scores, bboxes, person_scores, sizes, params
    )
    keep, cluster_of, points, scores = (convert_like(f, keypoints[0]) for f in fields)
    # For each image, i to j are the kept poses and m to n all poses.
    ends = sizes.cumsum()
    num_kept = np.append(0, is_kept.cpu().numpy().cumsum())
    spans = (num_kept[ends - sizes], num_kept[ends], ends - sizes, ends)
    return [
        PoseNMSResult(keep[i:j], cluster_of[m:n], points[i:j], scores[i:j])
        for i, j, m, n in zip(*(span.tolist() for span in spans), strict=True)
    ]


def parametric_pose_nms(
    keypoints: Array,
    keypoint_scores: Array,
    bboxes: Array,
    params: PoseNMSParams,
    person_scores: Array | None = None,
) -> PoseNMSResult:
    """Suppress duplicate poses of one image (RMPE, section 3.2).

    All arrays must be numpy arrays, or torch tensors on one device. The result has the
    same type. The input is not changed. Computation is in float64 and equal confidences
    keep the order of the input, so CPU and GPU keep the same poses.

    Values that are not finite are handled as follows:

    - A keypoint whose position is not finite matches no other keypoint, is not merged
      and counts as score 0.
    - A keypoint score that is not finite or negative counts as 0.
    - A pose whose person score is NaN is ranked last.

    With ``units='box'`` and a box of width and height 0, only keypoints at equal
    positions are similar.

    Args:
        keypoints (Array): Keypoints (N, K, 2), pixels. N may be 0.
        keypoint_scores (Array): Their scores (N, K).
        bboxes (Array): Boxes of the poses (N, 4), xyxy, pixels.
        params (PoseNMSParams): Parameters.
        person_scores (Array, optional): Confidence of each pose (N,). Defaults to
            ``None``, the mean of its keypoint scores.

    Returns:
        PoseNMSResult: Kept poses, in the dtypes of ``keypoints`` and
        ``keypoint_scores``, and the cluster of each pose.

    Raises:
        TypeError: If numpy arrays and torch tensors are mixed, or an argument is
            neither.
        ValueError: If shapes disagree, or a box is not finite or has a negative width
            or height.

    Example:
        >>> keypoints = np.zeros((3, 17, 2))
        >>> keypoints[2] += 500
        >>> scores = np.array([[0.5], [0.9], [0.8]]).repeat(17, axis=1)
        >>> boxes = np.array([[0.0, 0.0, 50.0, 100.0]] * 3)
        >>> params = PoseNMSParams.preset('rmpe-paper')
        >>> result = parametric_pose_nms(keypoints, scores, boxes, params)
        >>> result.keep, result.cluster_of
        (array([1, 2]), array([1, 1, 2]))
    """
    (result,) = parametric_pose_nms_batch(
        [keypoints],
        [keypoint_scores],
        [bboxes],
        params,
        None if person_scores is None else [person_scores],
    )
    return result
