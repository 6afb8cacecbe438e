# SPDX-License-Identifier: Apache-2.0
"""Average precision of joints in groups of people, the multi-person metric of MPII.

RMPE and other multi-person methods are compared by it. Scores take no part in the
assignment of predictions to people, so a duplicate is a false positive at its full
score. In COCO's AP, duplicates with a low score have hardly any effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .scored_detections import ScoredDetections

# Pairs of a prediction and a person that are compared together, to bound memory.
_CHUNK = 2**16


class _Pairs(NamedTuple):
    """Indices (M,) of all pairs of a prediction and a person of the same group."""

    prediction: np.ndarray
    person: np.ndarray


def multi_person_ap(
    gt_keypoints: Sequence[np.ndarray],
    reference_lengths: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    keypoint_scores: Sequence[np.ndarray],
    threshold: float = 0.5,
) -> np.ndarray:
    """Compute the average precision of each joint over groups of people.

    The rules are those of MPII's evaluation kit (Pishchulin et al., "DeepCut", CVPR
    2016, section 5.2):

    1. A predicted joint matches a person's joint if their distance is at most
       ``threshold`` times the reference length of the person.
    2. The similarity of a prediction and a person is the fraction of the person's
       annotated joints that match. A prediction belongs to the person of the highest
       similarity, and a person gets the most similar of its predictions. The first one
       is taken among equals, and none if the similarity is 0.
    3. Each joint of each prediction is a detection with the score of the joint. It is
       correct if its prediction is that of a person, whose joint it matches.
    4. The detections of all groups are sorted by decreasing score. The average
       precision is the area below the monotone precision over recall.

    Each argument has one array per group, for example per image.

    Args:
        gt_keypoints (Sequence[np.ndarray]): Annotated joints (G, K, 2), pixels; NaN for
            joints that are not annotated. G may differ between groups.
        reference_lengths (Sequence[np.ndarray]): Length of reference of each person
            (G,), pixels. For MPII 0.6 times the diagonal of the head box.
        keypoints (Sequence[np.ndarray]): Predicted joints (P, K, 2), pixels; NaN for
            joints that are not predicted. These are no detections.
        keypoint_scores (Sequence[np.ndarray]): Their scores (P, K).
        threshold (float): Largest distance of a match, relative to the reference
            length. Defaults to 0.5.

    Returns:
        np.ndarray: Average precision of each joint (K,), percent; NaN for a joint that
        no person has, 0 for a joint without detections.

    Raises:
        ValueError: If there are no groups, if shapes or numbers of groups disagree, if
            a predicted joint has no score, or if a reference length is not positive.

    Example:
        >>> person = np.array([[[10.0, 10.0], [20.0, 40.0]]])
        >>> duplicate = np.concatenate((person, person + 1))
        >>> scores = np.array([[0.9, 0.4], [0.8, 0.6]])
        >>> multi_person_ap([person], [np.array([10.0])], [duplicate], [scores])
        array([100.,  50.])
    """
    detections = joint_detections(
        gt_keypoints, reference_lengths, keypoints, keypoint_scores, threshold
    )
    return 100 * detections.average_precision()


def joint_detections(
    gt_keypoints: Sequence[np.ndarray],
    reference_lengths: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    keypoint_scores: Sequence[np.ndarray],
    threshold: float = 0.5,
) -> ScoredDetections:
    """Assign predictions to people by the rules of :func:`multi_person_ap`.

    Args:
        gt_keypoints (Sequence[np.ndarray]): As :func:`multi_person_ap`'s.
        reference_lengths (Sequence[np.ndarray]): As :func:`multi_person_ap`'s.
        keypoints (Sequence[np.ndarray]): As :func:`multi_person_ap`'s.
        keypoint_scores (Sequence[np.ndarray]): As :func:`multi_person_ap`'s.
        threshold (float): As :func:`multi_person_ap`'s. Defaults to 0.5.

    Returns:
        ScoredDetections: A column per joint, an image per group.

    Raises:
        ValueError: As :func:`multi_person_ap`.

    Example:
        >>> person = np.array([[[10.0, 10.0], [20.0, 40.0]]])
        >>> length, scores = np.array([10.0]), np.array([[0.9, 0.4]])
        >>> detections = joint_detections([person], [length], [person + 4], [scores])
        >>> detections.correct
        array([[False, False]])
    """
    _check(gt_keypoints, reference_lengths, keypoints, keypoint_scores)
    people, predictions = np.concatenate(gt_keypoints), np.concatenate(keypoints)
    annotated = np.isfinite(people).all(axis=-1)  # (ΣG, K)
    radius = threshold * np.concatenate(reference_lengths)  # (ΣG,)
    pairs = _pairs([*map(len, gt_keypoints)], [*map(len, keypoints)])

    # 1: the number of matching joints of each pair
    number = np.concatenate(
        [
            _matches(people, radius, predictions, chunk).sum(axis=1)
            for chunk in _chunks(pairs)
        ]
    )
    similarity = number / annotated.sum(axis=1).clip(min=1)[pairs.person]  # (M,)

    # 2: assignment
    similarity, pairs = _best(similarity, pairs, pairs.prediction)
    similarity, pairs = _best(similarity, pairs, pairs.person)
    pairs = _Pairs(*(index[similarity > 0] for index in pairs))

    # 3: correct detections
    correct = np.zeros(predictions.shape[:2], dtype=bool)  # (ΣP, K)
    correct[pairs.prediction] = _matches(people, radius, predictions, pairs)

    # 4: order
    detected = np.isfinite(predictions).all(axis=-1)
    scores = np.where(detected, np.concatenate(keypoint_scores), -np.inf)
    order = np.argsort(-scores, axis=0, kind='stable')
    group = np.repeat(np.arange(len(keypoints)), [*map(len, keypoints)])
    return ScoredDetections(
        image=group[order],
        correct=np.take_along_axis(correct, order, axis=0),
        counted=np.take_along_axis(detected, order, axis=0),
        num_targets=_sum_by_group(annotated, [*map(len, gt_keypoints)]),
    )


def _check(
    gt_keypoints: Sequence[np.ndarray],
    reference_lengths: Sequence[np.ndarray],
    keypoints: Sequence[np.ndarray],
    keypoint_scores: Sequence[np.ndarray],
) -> None:
    """Raise a ValueError if an argument of :func:`multi_person_ap` is not valid."""
    arguments = dict(
        gt_keypoints=gt_keypoints,
        reference_lengths=reference_lengths,
        keypoints=keypoints,
        keypoint_scores=keypoint_scores,
    )
    numbers = {name: len(groups) for name, groups in arguments.items()}
    if len(set(numbers.values())) > 1 or not len(keypoints):
        raise ValueError(
            'all arguments must have the same number of groups, at least one, got '
            f'{numbers}'
        )
    joints = gt_keypoints[0].shape[1:]
    for i, (gt, lengths, pose, scores) in enumerate(
        zip(*arguments.values(), strict=True)
    ):
        got = gt.shape, lengths.shape, pose.shape, scores.shape
        if got != (
            (len(gt), *joints),
            (len(gt),),
            (len(pose), *joints),
            (len(pose), *joints[:1]),
        ):
            raise ValueError(
                'the shapes of a group must be (G, K, 2), (G,), (P, K, 2) and (P, K), '
                f'with the same K for all groups, got {got} (group {i})'
            )
        if not (lengths > 0).all():
            raise ValueError(
                f'reference_lengths must be positive, got {lengths} (group {i})'
            )
        if (np.isfinite(pose).all(axis=-1) & np.isnan(scores)).any():
            raise ValueError(
                f'keypoint_scores of predicted joints must not be NaN (group {i})'
            )


def _pairs(people: list[int], predictions: list[int]) -> _Pairs:
    """All pairs of groups of these sizes, sorted by prediction, then by person."""
    first_person = np.cumsum(people) - people  # of each group
    group = np.repeat(np.arange(len(people)), predictions)  # of each prediction
    count = np.asarray(people)[group]  # pairs of each prediction
    prediction = np.repeat(np.arange(len(group)), count)
    position = np.arange(len(prediction)) - np.repeat(np.cumsum(count) - count, count)
    return _Pairs(prediction, first_person[group][prediction] + position)


def _chunks(pairs: _Pairs) -> list[_Pairs]:
    """Split pairs into chunks."""
    number = max(1, -(-len(pairs.person) // _CHUNK))
    split = (np.array_split(index, number) for index in pairs)
    return [_Pairs(*chunk) for chunk in zip(*split, strict=True)]


def _matches(
    people: np.ndarray, radius: np.ndarray, predictions: np.ndarray, pairs: _Pairs
) -> np.ndarray:
    """Whether the joints of each pair match (M, K); a missing joint never does."""
    offset = predictions[pairs.prediction] - people[pairs.person]  # (M, K, 2)
    distance = np.hypot(offset[..., 0], offset[..., 1])
    return distance <= radius[pairs.person, None]


def _best(
    similarity: np.ndarray, pairs: _Pairs, key: np.ndarray
) -> tuple[np.ndarray, _Pairs]:
    """Keep the most similar pair of each key (M,), the first among equals."""
    order = np.lexsort((-similarity, key))  # stable
    _, first = np.unique(key[order], return_index=True)
    kept = order[first]
    return similarity[kept], _Pairs(*(index[kept] for index in pairs))


def _sum_by_group(values: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Sum the rows of each group: (ΣG, K) to (number of groups, K)."""
    ends = np.cumsum(sizes)
    total = np.pad(values.cumsum(axis=0), ((1, 0), (0, 0)))
    return total[ends] - total[ends - sizes]
