# SPDX-License-Identifier: Apache-2.0
"""Parametric pose NMS: suppress duplicate poses of one person (RMPE, section 3.2).

Poses are processed from the most to the least confident. A pose is kept unless an
earlier kept pose suppresses it. A kept pose suppresses every less confident pose that
is similar to it. See :mod:`rmpe_plugin.ops.rmpe.pose_similarity` for the similarity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .pose_arrays import (
    Array,
    check_arrays,
    convert_like,
    floating_dtype,
    poses_last,
    take,
    to_float64,
    to_host,
)
from .pose_nms_params import PoseNMSParams
from .pose_similarity import Pairs, Poses, d

# AlphaPose's area of a pose is that of its bounds, enlarged by this factor per side.
_AREA_FACTOR = 1.5
# Minimum weight of a keypoint, so that the weights of keypoints with score 0 do not sum
# to 0. AlphaPose uses the same constant.
_MIN_WEIGHT = 1e-5
# Comparing all pairs of so few poses takes less time than selecting the close ones.
_FEW_POSES = 12
# Pairs of the images that are processed together.
_PAIRS = 2**14


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


# --- elimination ----------------------------------------------------------------------


def eliminates(pairs: Pairs, params: PoseNMSParams) -> np.ndarray:
    """Elimination criterion (...): whether poses i suppress less confident poses j."""
    criterion = d(pairs, params) > params.eta
    if params.match_count is not None:  # AlphaPose's second criterion
        criterion |= pairs.within(params.match_radius).sum(0) >= params.match_count
    return criterion


def select(poses: Poses, rank: np.ndarray, params: PoseNMSParams) -> np.ndarray:
    """Index of the kept pose that suppresses each pose (T,), its own if it is kept."""
    suppressed_by = list(range(rank.size))
    for i, j in _eliminations(poses, rank, params):
        # No later pair changes whether i is kept.
        if suppressed_by[i] == i and suppressed_by[j] == j:
            suppressed_by[j] = i
    return np.array(suppressed_by, dtype=np.int64)


def _eliminations(
    poses: Poses, rank: np.ndarray, params: PoseNMSParams
) -> Iterator[tuple[int, int]]:
    """Pairs of an image for which the criterion holds, most confident i first."""
    images, number = rank.shape
    if number < 2:
        return iter(())
    pairs = rank[..., None] < rank[:, None]  # (B, N, N)
    if images > 1 or number > _FEW_POSES:
        pairs = pairs & _close(poses, rank.shape, params)
    i, j = np.where(pairs.reshape(rank.size, number))
    j = i - i % number + j  # from the index in the image to that in poses
    step = poses.chunk_size()
    chunks = [np.s_[n : n + step] for n in range(0, max(1, len(i)), step)]
    criterion = [eliminates(Pairs(poses, i[n], j[n]), params) for n in chunks]
    eliminated = np.concatenate(criterion)
    i, j = i[eliminated], j[eliminated]
    order = rank.reshape(-1)[i].argsort(kind='stable')
    return zip(i[order].tolist(), j[order].tolist(), strict=True)


def _close(poses: Poses, shape: tuple[int, ...], params: PoseNMSParams) -> np.ndarray:
    """Pairs (B, N, N) whose bounds are close enough for the criterion to hold."""
    # Farther apart than this, no keypoint matches and lambda * H_sim <= eta. It solves
    # lambda * terms * exp(-distance^p / sigma2) = eta, with p = 1 or 2.
    terms = 1 if params.normalize else len(poses.c)
    power = params.sigma2 * math.log(max(1.0, params.lambda_ * terms / params.eta))
    distance = max(1.0, math.sqrt(power) if params.squared else power)  # units
    reach = np.maximum(poses.radius, distance * poses.unit)
    reach = 1.000001 * reach  # rounding must not lose a pair
    low, high = _bounds(poses.k)
    after = (low - reach).reshape(2, *shape, 1) <= high.reshape(2, -1, 1, shape[1])
    before = (high + reach).reshape(2, *shape, 1) >= low.reshape(2, -1, 1, shape[1])
    close = after & before
    return close[0] & close[1]  # x, y


def _bounds(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (2, T) of the finite keypoints; inverted if there are none."""
    missing = np.isnan(k)
    low, high = np.where(missing, np.inf, k), np.where(missing, -np.inf, k)
    return np.amin(low, 1), np.amax(high, 1)


# --- merging --------------------------------------------------------------------------


def merge(
    poses: Poses, suppressed_by: np.ndarray, params: PoseNMSParams
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge clusters of two or more: indices (M,) of the kept poses, new k and c."""
    cluster_size = np.bincount(suppressed_by, minlength=len(suppressed_by))  # (T,)
    kept = np.flatnonzero(cluster_size > 1)  # (M,)
    # The S poses of these clusters, one cluster after another.
    members = np.flatnonzero(cluster_size[suppressed_by] > 1)  # (S,)
    members = members[np.argsort(suppressed_by[members], kind='stable')]
    near = Pairs(poses, suppressed_by[members], members).within(params.merge_radius)

    c = take(poses.c, members)
    weights = c.clip(_MIN_WEIGHT) * near  # (K, S)
    # Not NaN times 0.
    x, y = np.where(near, take(poses.k, members), 0.0)
    values = np.stack((weights, weights * x, weights * y, weights * c))
    total, *sums = _reduce('sum', values, cluster_size[kept])  # (K, M) each
    # The total is 0, and the merged keypoint NaN, only where that of the kept pose is.
    x, y, mean = (value / np.where(total > 0, total, np.nan) for value in sums)
    if params.merge == 'weighted-max':
        return kept, np.stack((x, y)), _reduce('max', c * near, cluster_size[kept])
    return kept, np.stack((x, y)), np.where(total > 0, mean, 0.0)


def _reduce(reduction: str, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sum or maximum (..., M) of the values (..., S) of consecutive clusters."""
    function = dict(sum=np.add, max=np.maximum)[reduction]
    return function.reduceat(values, lengths.cumsum() - lengths, axis=-1)


# --- thresholds -----------------------------------------------------------------------


def passes_thresholds(
    k: np.ndarray, c: np.ndarray, params: PoseNMSParams
) -> np.ndarray:
    """Check which poses (T,) reach the thresholds of score and area."""
    passes = np.ones(c.shape[1], dtype=bool)
    if params.max_score_thr > 0:
        passes &= (c >= params.max_score_thr).any(0)
    if params.mean_score_thr > 0:
        passes &= c.mean(0) >= params.mean_score_thr
    if params.min_area > 0:
        low, high = _bounds(k)
        width, height = _AREA_FACTOR * (high - low).clip(0)
        passes &= width * height >= params.min_area
    return passes


# --- images ---------------------------------------------------------------------------


def _equally_many(keypoints: Sequence[Array]) -> Iterator[list[int]]:
    """Group images with equally many poses, in chunks that bound the memory."""
    by_size: dict[int, list[int]] = {}
    for image, poses in enumerate(keypoints):
        by_size.setdefault(len(poses), []).append(image)
    for size, images in by_size.items():
        step = max(1, _PAIRS // max(1, size**2))
        for start in range(0, len(images), step):
            yield images[start : start + step]


def _suppress_images(
    arrays: Mapping[str, Sequence[np.ndarray]],
    like: Array,
    dtypes: tuple[Any, Any],
    params: PoseNMSParams,
) -> list[PoseNMSResult]:
    """Pose NMS of B images with N poses each; the result is an array like ``like``."""
    images, number = len(arrays['keypoints']), len(arrays['keypoints'][0])
    k, c, bboxes, *person_scores = map(to_float64, arrays.values())
    poses = Poses.of(k, c, bboxes, params)
    confidence = person_scores[0] if person_scores else poses.c.mean(0)
    # Equal scores keep the order of the input, and NaN is last.
    order = np.argsort(-confidence.reshape(images, number), kind='stable')  # (B, N)
    suppressed_by = select(poses, order.argsort(), params)
    is_kept = suppressed_by == np.arange(len(suppressed_by))

    # Thresholds apply before and after merging.
    passes = passes_thresholds(poses.k, poses.c, params)
    if params.merge != 'none' and not is_kept.all():
        kept, merged_k, merged_c = merge(poses, suppressed_by, params)
        passes[kept] &= passes_thresholds(merged_k, merged_c, params)
        merged_k, merged_c = poses_last(merged_k), poses_last(merged_c)
        missing = np.isnan(merged_k)
        k[kept] = np.where(missing, k[kept], merged_k)
        c[kept] = np.where(missing[..., 0], c[kept], merged_c)

    # Images one after another, their most confident pose first.
    start = (number * np.arange(images))[:, None]  # (B, 1)
    ranked = order + start
    is_kept = (is_kept & passes)[ranked]  # (B, N)
    kept = ranked[is_kept]
    cluster_of = suppressed_by.reshape(images, number) - start
    cluster_of[~passes[suppressed_by].reshape(images, number)] = -1
    fields = order[is_kept], cluster_of, k[kept], c[kept]
    keep, cluster_of, k, c = (
        convert_like(field, like, dtype)
        for field, dtype in zip(fields, (None, None, *dtypes), strict=True)
    )
    ends = is_kept.sum(1).cumsum().tolist()
    return [
        PoseNMSResult(keep[start:end], cluster_of[image], k[start:end], c[start:end])
        for image, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]


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
    arrays = dict(keypoints=keypoints, keypoint_scores=keypoint_scores, bboxes=bboxes)
    if person_scores is not None:
        arrays['person_scores'] = person_scores
    check_arrays(arrays)
    params = params.for_keypoints(keypoints[0].shape[1])
    dtypes = floating_dtype(keypoints), floating_dtype(keypoint_scores)
    on_host = to_host(arrays)
    results: dict[int, PoseNMSResult] = {}
    for images in _equally_many(keypoints):
        group = {name: [a[n] for n in images] for name, a in on_host.items()}
        nms = _suppress_images(group, keypoints[0], dtypes, params)
        results.update(zip(images, nms, strict=True))
    return [results[image] for image in range(len(keypoints))]


def parametric_pose_nms(
    keypoints: Array,
    keypoint_scores: Array,
    bboxes: Array,
    params: PoseNMSParams,
    person_scores: Array | None = None,
) -> PoseNMSResult:
    """Suppress duplicate poses of one image (RMPE, section 3.2).

    All arrays must be numpy arrays, or torch tensors on one device. The result has the
    same type and device. The input is not changed. Computation is in float64 on the
    CPU, with one copy from the device. Equal confidences keep the order of the input.

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
