# SPDX-License-Identifier: Apache-2.0
"""Parametric pose NMS: of the poses found twice, the most confident stays.

RMPE, section 3.2. A pose that nobody more confident has taken in stands; it takes in
every less confident pose that is similar enough, seen from its own box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .pose_nms_params import PoseNMSParams

Array = np.ndarray | Tensor

# A keypoint without evidence weighs this when poses are merged, so that a joint nobody
# saw still has a place. AlphaPose's constant.
_LEAST_WEIGHT = 1e-5
# A smaller box is taken to be so large, pixels; on it only equal keypoints are similar.
_LEAST_UNIT = 1e-9
# Pairs compared at a time, of poses or of keypoints.
_FITS_CACHE = 2**16
_FILLS_GPU = 2**26
# Poses chosen among at a time, so that a long chain of them does not take for ever.
_BLOCK = 256


class PoseNMSResult(NamedTuple):
    """What pose NMS makes of one image's N poses.

    Attributes:
        keep (Array): Indices of the poses that stay (M,), int64, most confident first.
        cluster_of (Array): For each pose the index of the one that took it in (N,),
            int64; its own if it stays, -1 if that cluster was filtered out.
        keypoints (Array): The poses that stay (M, K, 2), merged where asked for.
        keypoint_scores (Array): Their scores (M, K).
    """

    keep: Array
    cluster_of: Array
    keypoints: Array
    keypoint_scores: Array


class _Poses(NamedTuple):
    """Poses in float64, of all images one after another (T,) unless axes are added."""

    joints: Tensor  # (..., 4, K): x, y, pixels, NaN where not known; score; confidence
    region: Tensor  # (..., 2), alpha of the box's width and height

    @property
    def reach(self) -> Tensor:
        """Share alpha of the longer side of the box (...)."""
        return self.region.amax(-1)

    def at(self, *index) -> _Poses:
        """The poses at an index into the leading axes."""
        return _Poses(self.joints[index], self.region[index])

    def select(self, index: Tensor) -> _Poses:
        """The poses (T,) at an index (P,); several times as fast as :meth:`at`."""
        return _Poses(*(field.index_select(0, index) for field in self))


def _prepare(
    keypoints: Tensor, keypoint_scores: Tensor, bboxes: Tensor, params: PoseNMSParams
) -> _Poses:
    """Poses of (T, K, 2), (T, K) and (T, 4), with scores of 0 for no evidence."""
    x, y = keypoints.double().unbind(-1)
    # 0 where both are finite, NaN where one is not.
    unknown = (x - x) + (y - y)
    scores = keypoint_scores.double() + unknown
    scores = scores.nan_to_num(0.0, 0.0, 0.0).clamp_(min=0)
    confidence = torch.tanh(scores / params.sigma1)
    corners = bboxes.double()
    return _Poses(
        joints=torch.stack((x + unknown, y + unknown, scores, confidence), 1),
        region=params.alpha * (corners[:, 2:] - corners[:, :2]),
    )


def _compare(i: _Poses, j: _Poses, params: PoseNMSParams):
    """Similarity of poses j seen from poses i, and how many keypoints match.

    Returns:
        tuple[Tensor, Tensor | None]: d of the paper, in the shape that the leading axes
        of i and j broadcast to, and the number of keypoints for the second rule where
        there is one.
    """
    dx, dy = (i.joints[..., axis, :] - j.joints[..., axis, :] for axis in (0, 1))
    if params.region == 'box':
        half_width, half_height = (0.5 * i.region[..., None]).unbind(-2)
        matched = (dx.abs() <= half_width) & (dy.abs() <= half_height)
    square = dx.square_().addcmul_(dy, dy)
    reach = i.reach[..., None]
    unit = reach.clamp(min=_LEAST_UNIT) if params.units == 'box' else 1.0
    if params.region == 'circle':
        matched = square <= unit**2

    count = None
    if params.match_count is not None:
        radius = reach.clamp(max=params.match_radius or torch.inf)
        count = (square <= radius**2).sum(-1)
    if params.squared:
        closeness = square.div_(-params.sigma2 * unit**2).exp_()
    else:
        closeness = square.sqrt_().div_(-params.sigma2 * unit).exp_()
    # Comparisons with NaN, a keypoint that is not known, are false; here it counts 0.
    closeness.nan_to_num_(0.0)
    terms = (i.joints[..., 3, :] * j.joints[..., 3, :]).mul_(matched)
    similarity = terms.add_(closeness, alpha=params.lambda_).sum(-1)
    if params.normalize:
        similarity /= terms.shape[-1]
    return similarity, count


def _at_once(pairs: int, device: torch.device) -> int:
    """How many things of so many pairs each are done at a time, to bound memory."""
    return max(1, (_FILLS_GPU if device.type == 'cuda' else _FITS_CACHE) // pairs)


def pose_similarity(
    keypoints: Array, keypoint_scores: Array, bboxes: Array, params: PoseNMSParams
) -> Array:
    """Compute how similar poses are, d of RMPE, section 3.2.

    Args:
        keypoints (Array): (N, K, 2), pixels. See :func:`parametric_pose_nms` for what
            is not finite.
        keypoint_scores (Array): (N, K).
        bboxes (Array): (N, 4), x1, y1, x2, y2, pixels.
        params (PoseNMSParams): Parameters; thresholds, the match count and merging do
            not matter here.

    Returns:
        Array: (N, N), float64; row i is seen from pose i. Not symmetric unless the
        boxes are equally large.

    Raises:
        TypeError, ValueError: As :func:`parametric_pose_nms`.

    Example:
        >>> pose = np.zeros((1, 16, 2))
        >>> box = np.array([[0.0, 0.0, 50.0, 100.0]])
        >>> params = PoseNMSParams.preset('rmpe-mpii')
        >>> pose_similarity(pose, np.ones((1, 16)), box, params).round(2)
        array([[49.28]])
    """
    given = dict(keypoints=keypoints, keypoint_scores=keypoint_scores, bboxes=bboxes)
    flat = _concatenate({name: [array] for name, array in given.items()})
    return _as(keypoints, _similarity(_prepare(*flat, params), params))


@torch.inference_mode()
def _similarity(poses: _Poses, params: PoseNMSParams) -> Tensor:
    """Similarity (T, T) of poses (T,), some rows at a time."""
    number, device = len(poses.joints), poses.joints.device
    step = _at_once(max(1, number * poses.joints.shape[-1]), device)
    similarity = [
        _compare(poses.at(slice(row, row + step), None), poses.at(None), params)[0]
        for row in range(0, number, step)
    ]
    nobody = poses.joints.new_zeros(0, number)
    return torch.cat((nobody, *similarity))


def _margin(poses: _Poses, params: PoseNMSParams) -> Tensor:
    """Distance (T,) from which on keypoints make no pose be taken in, pixels.

    If all of them are farther apart none is matched, and K times the kernel's value
    there is eta.
    """
    number = 1 if params.normalize else poses.joints.shape[-1]
    kernel = params.sigma2 * math.log(max(1.0, params.lambda_ * number / params.eta))
    kernel = max(1.0, math.sqrt(kernel) if params.squared else kernel)
    if params.units == 'pixel':
        return poses.reach.clamp(min=kernel)
    return kernel * poses.reach.clamp(min=_LEAST_UNIT)


def _corners(poses: _Poses) -> tuple[Tensor, Tensor]:
    """Corners (..., 2) of the rectangle around known keypoints, inside out if none."""
    places = poses.joints[..., :2, :]
    low, high = (places.nan_to_num(empty) for empty in (torch.inf, -torch.inf))
    return low.amin(-1), high.amax(-1)


def _near(low: Tensor, high: Tensor, margin: Tensor) -> Tensor:
    """Whether pose j's rectangle is within pose i's margin of i's, i before j.

    Args:
        low (Tensor): Upper left corners (2, B, N).
        high (Tensor): Lower right corners (2, B, N).
        margin (Tensor): Margins (B, N).

    Returns:
        Tensor: (B, N, N), j first, bool.
    """
    # A little more, so that rounding loses nobody.
    margin = 1.000001 * margin
    from_left = (low - margin)[..., None, :] <= high[..., None]
    from_right = (high + margin)[..., None, :] >= low[..., None]
    in_x, in_y = from_left & from_right
    return (in_x & in_y).tril_(-1)


def _taken_in(
    poses: _Poses, near: Tensor, index: Tensor, params: PoseNMSParams
) -> Tensor:
    """Whether pose j would be taken in by pose i, i before j.

    Args:
        poses (_Poses): All poses (T,).
        near (Tensor): Which pairs are worth comparing (B, N, N), j first, bool. It
            becomes the answer.
        index (Tensor): Which poses they are (B, N).
        params (PoseNMSParams): Parameters.

    Returns:
        Tensor: (B, N, N), j first, bool.
    """
    image, *pair = near.nonzero(as_tuple=True)
    at_once = _at_once(poses.joints.shape[-1], near.device)
    answers = []
    for j, i in zip(*(index[image, k].split(at_once) for k in pair), strict=True):
        similarity, count = _compare(poses.select(i), poses.select(j), params)
        answer = similarity > params.eta
        if count is not None:
            answer |= count >= params.match_count
        answers.append(answer)
    return near.index_put_((image, *pair), torch.cat(answers))


def _choose(taken_in: Tensor) -> Tensor:
    """Greedy choice: a pose stands if no standing one before it takes it in.

    Args:
        taken_in (Tensor): Whether i takes in j, i before j (B, N, N), j first, bool.

    Returns:
        Tensor: The first standing pose that takes each in, itself for one that stands
        (B, N), int64.
    """
    number = taken_in.shape[1]
    standing = taken_in.new_ones(taken_in.shape[:2])
    for start in range(0, number, _BLOCK):
        block, rest = slice(start, start + _BLOCK), slice(start + _BLOCK, None)
        inside, free = taken_in[:, block, block], standing[:, block]
        now = free
        # Each round settles at least one pose more, and all that depend on settled ones
        # alone; a few rounds settle them all.
        while True:
            before, now = now, free & ~(inside & now[:, None]).any(-1)
            if torch.equal(before, now):
                break
        standing[:, block] = now
        if start + _BLOCK < number:
            standing[:, rest] &= ~(taken_in[:, rest, block] & now[:, None]).any(-1)
    takers = (taken_in & standing[:, None]).view(torch.uint8)
    itself = torch.arange(number, device=taken_in.device)
    return itself.where(standing, takers.argmax(-1))


def _merge(
    poses: _Poses, owner: Tensor, params: PoseNMSParams
) -> tuple[Tensor, Tensor]:
    """Merge poses with those that they took in, near their own keypoints.

    Args:
        poses (_Poses): All poses (T,).
        owner (Tensor): Index of the pose that took each in (T,).
        params (PoseNMSParams): Parameters.

    Returns:
        tuple[Tensor, Tensor]: Indices of the poses that took others in (M,), and their
        merged joints (M, 3, K): x, y, NaN where not known, and score.
    """
    size = owner.bincount(minlength=len(owner))
    picks = (size > 1).nonzero()[:, 0]
    if len(picks) == 0:
        return picks, poses.joints[picks, :3]
    # Clusters one after another; reducing them so adds in the same order every time.
    members = (size[owner] > 1).nonzero()[:, 0]
    members = members[owner[members].argsort(stable=True)]
    theirs, own = poses.select(members), poses.select(owner[members])

    radius = own.reach.clamp(max=params.merge_radius or torch.inf)[:, None]
    offset = theirs.joints[:, :2] - own.joints[:, :2]
    near = offset.square_().sum(1) <= radius**2
    joints = theirs.joints[:, :3].nan_to_num(0.0)
    weights = (joints[:, 2].clamp(min=_LEAST_WEIGHT) * near)[:, None]
    terms = torch.cat((weights, weights * joints), 1)
    lengths = size[picks]
    sums = torch.segment_reduce(terms, 'sum', lengths=lengths)
    # Every known keypoint of a pick has its own weight; others become NaN.
    merged = sums[:, 1:] / sums[:, :1]
    if params.merge == 'weighted-max':
        scores = joints[:, 2] * near
        merged[:, 2] = torch.segment_reduce(scores, 'max', lengths=lengths)
    merged[:, 2].nan_to_num_(0.0)
    return picks, merged


def _passes(poses: _Poses, params: PoseNMSParams) -> Tensor:
    """Whether poses reach the thresholds (...), bool."""
    scores = poses.joints[..., 2, :]
    passes = torch.ones_like(scores[..., 0], dtype=torch.bool)
    if params.max_score_thr > 0:
        passes &= scores.amax(-1) >= params.max_score_thr
    if params.mean_score_thr > 0:
        passes &= scores.mean(-1) >= params.mean_score_thr
    if params.min_area > 0:
        low, high = _corners(poses)
        passes &= (1.5 * (high - low).clamp(min=0)).prod(-1) >= params.min_area
    return passes


def _check(given: dict[str, Sequence[Array]]) -> None:
    """Refuse arrays of several kinds, and shapes that disagree."""
    kinds = {type(array) for arrays in given.values() for array in arrays}
    if not (kinds == {np.ndarray} or all(issubclass(k, Tensor) for k in kinds)):
        names = ', '.join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(
            f'pose NMS takes numpy arrays only or torch tensors only, got {names}'
        )
    if len({len(arrays) for arrays in given.values()}) > 1:
        numbers = ', '.join(f'{name} of {len(a)}' for name, a in given.items())
        raise ValueError(f'all lists must be of as many images, got {numbers}')
    poses = given['keypoints']
    first = poses[0].shape
    if len(first) != 3 or first[1] < 1 or first[2] != 2:
        raise ValueError(f'keypoints must be (N, K, 2), got {tuple(first)}')
    rest = dict(keypoints=first[1:], keypoint_scores=first[1:2], bboxes=(4,))
    for name, arrays in given.items():
        for i, (array, like) in enumerate(zip(arrays, poses, strict=True)):
            wanted = (len(like), *rest.get(name, ()))
            if array.shape != wanted:
                raise ValueError(
                    f'{name} must be {wanted} as keypoints are {tuple(like.shape)}, '
                    f'got {tuple(array.shape)} (image {i} of the call)'
                )


def _concatenate(given: dict[str, Sequence[Array]]) -> list[Tensor]:
    """Check the images' arrays, and put them one after another as tensors (T, ...)."""
    _check(given)
    join = (
        np.concatenate if isinstance(given['keypoints'][0], np.ndarray) else torch.cat
    )
    flat = [torch.as_tensor(join(list(arrays))) for arrays in given.values()]
    boxes = flat[2]
    extent = boxes[:, 2:] - boxes[:, :2]
    good = (extent >= 0) & (extent < torch.inf)
    if not good.all():
        raise ValueError(
            'bboxes must be finite x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got '
            f'{boxes[~good.all(1)][0].tolist()}'
        )
    return [t if t.is_floating_point() else t.double() for t in flat]


def _as(like: Array, tensor: Tensor) -> Array:
    """A tensor made in inference mode as the caller's kind of array."""
    return tensor.numpy() if isinstance(like, np.ndarray) else tensor.clone()


def _groups(
    sizes: np.ndarray, starts: np.ndarray, device: torch.device
) -> Iterator[Tensor]:
    """Images with as many poses, together: no padding, and few of them.

    Yields:
        Tensor: Index (B, N) into the poses of all images, one after another.
    """
    for size in set(sizes.tolist()) - {0}:
        first, images = starts[sizes == size], _at_once(size**2, device)
        for i in range(0, len(first), images):
            index = first[i : i + images, None] + np.arange(size)
            yield torch.from_numpy(index).to(device)


@torch.inference_mode()
def _suppress(
    given: dict[str, Sequence[Array]],
    sizes: np.ndarray,
    starts: np.ndarray,
    params: PoseNMSParams,
) -> tuple[Tensor, ...]:
    """Suppress the poses of images, which stand one after another.

    Inference mode makes small operations a fifth faster.

    Returns:
        tuple[Tensor, ...]: Which poses stay, image by image in the order of their
        confidence (T,), bool; then ``keep``, ``cluster_of``, ``keypoints`` and
        ``keypoint_scores`` of :class:`PoseNMSResult`, image after image.
    """
    points, scores, boxes, *confidence = _concatenate(given)
    poses, device = _prepare(points, scores, boxes, params), points.device
    confidence = confidence[0].double() if confidence else poses.joints[:, 2].mean(-1)
    confidence = confidence.nan_to_num(nan=-torch.inf)
    low, high = (corner.T for corner in _corners(poses))
    margin = _margin(poses, params)
    passes = _passes(poses, params)

    # Image by image the poses in the order of their confidence, and who took each in.
    ranking = torch.empty(len(points), dtype=torch.long, device=device)
    owner = torch.empty_like(ranking)
    for index in _groups(sizes, starts, device):
        # Ties in the order they came in.
        order = confidence[index].argsort(descending=True, stable=True)
        ranked = index.gather(1, order)
        near = _near(low[:, ranked], high[:, ranked], margin[ranked])
        first = _choose(_taken_in(poses, near, ranked, params))
        ranking[index], owner[ranked] = ranked, ranked.gather(1, first)

    if params.merge != 'none':
        picks, joints = _merge(poses, owner, params)
        if len(picks) > 0:
            poses.joints[picks, :3] = joints
            passes &= _passes(poses, params)
            places, known = joints[:, :2].mT, joints[:, :2].isfinite().mT
            points[picks] = places.to(points).where(known, points[picks])
            scores[picks] = joints[:, 2].to(scores).where(known[..., 0], scores[picks])

    start = torch.from_numpy(starts.repeat(sizes)).to(device)
    cluster_of = (owner - start).where(passes[owner], -1)
    stays = (owner[ranking] == ranking) & passes[ranking]
    flat = ranking[stays]
    return stays, flat - start[stays], cluster_of, points[flat], scores[flat]


def parametric_pose_nms_batch(
    keypoints: Sequence[Array],
    keypoint_scores: Sequence[Array],
    bboxes: Sequence[Array],
    params: PoseNMSParams,
    person_scores: Sequence[Array] | None = None,
) -> list[PoseNMSResult]:
    """Suppress the poses of many images, each image by itself.

    Args:
        keypoints (Sequence[Array]): For each image as :func:`parametric_pose_nms`
            takes it; the number of poses may differ, K may not.
        keypoint_scores (Sequence[Array]): Likewise.
        bboxes (Sequence[Array]): Likewise.
        params (PoseNMSParams): Parameters.
        person_scores (Sequence[Array], optional): Likewise.

    Returns:
        list[PoseNMSResult]: For each image what :func:`parametric_pose_nms` returns.

    Raises:
        TypeError, ValueError: As :func:`parametric_pose_nms`.
    """
    if len(keypoints) == 0:
        return []
    given = dict(keypoints=keypoints, keypoint_scores=keypoint_scores, bboxes=bboxes)
    if person_scores is not None:
        given['person_scores'] = person_scores
    sizes = np.array([len(array) for array in keypoints])
    starts = sizes.cumsum() - sizes
    stays, *arrays = _suppress(given, sizes, starts, params)
    keep, cluster_of, points, scores = (_as(keypoints[0], a) for a in arrays)
    count = np.zeros(len(stays) + 1, dtype=int)
    stays.cpu().numpy().cumsum(out=count[1:])
    spans = (count[starts], count[starts + sizes], starts, starts + sizes)
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
    """Suppress the poses of one image that a more confident one takes in.

    The arrays are all numpy or all torch, on one device, and so is the answer; none is
    changed. Work is done in float64 and equal confidences are settled by input order,
    so a CPU and a GPU choose alike. Paper section 3.2.

    What is not a number is no evidence. A keypoint whose place is not finite matches
    no other, is not merged and counts 0 towards its person's score; a score that is
    not finite or below 0 counts as 0; a person score that is NaN comes last. On a box
    without extent only keypoints at the same place are similar.

    Args:
        keypoints (Array): (N, K, 2), x and y, pixels. N may be 0.
        keypoint_scores (Array): (N, K).
        bboxes (Array): Boxes that the poses were found in (N, 4), x1, y1, x2, y2,
            pixels.
        params (PoseNMSParams): Parameters.
        person_scores (Array, optional): Confidence of each pose (N,). Defaults to
            ``None``, the mean of its keypoints' scores.

    Returns:
        PoseNMSResult: Which poses stay, who took in whom, and the poses that stay, in
        the dtypes of ``keypoints`` and ``keypoint_scores``.

    Raises:
        TypeError: If numpy arrays and torch tensors are mixed, or it is neither.
        ValueError: If shapes disagree, or a box is not finite or is inverted.

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
    batch = parametric_pose_nms_batch(
        [keypoints],
        [keypoint_scores],
        [bboxes],
        params,
        None if person_scores is None else [person_scores],
    )
    return batch[0]
