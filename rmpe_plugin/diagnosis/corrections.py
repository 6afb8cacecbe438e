# SPDX-License-Identifier: Apache-2.0
"""AP after the correction of one type of error.

As in section 3 of Ronchi and Perona, "Benchmarking and Error Diagnosis in
Multi-Instance Pose Estimation". Only one type is corrected at a time, so the gains do
not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from rmpe_plugin.ops import (
    PoseErrorTypes,
    multi_person_ap,
    oks_average_precision,
    pose_oks,
)
from rmpe_plugin.ops.evaluation.error_types import (
    BACKGROUND,
    DUPLICATE,
    KEYPOINT_TYPES,
    MATCHED,
)

from .diagnosis import Diagnosis
from .poses import ImagePoses

# Keypoints (P, K, 2), scores (P,) and indices of the kept predictions of an image, and
# of the people that remain.
Corrected = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Correct = Callable[[int, ImagePoses, PoseErrorTypes], Corrected]


def corrections() -> dict[str, Correct]:
    """List the corrections.

    - ``jitter``, ``inversion``, ``swap``, ``miss``: keypoints of this type are moved to
      their joints.
    - ``duplicate``, ``background``: these predictions are removed.
    - ``missed``: these people are removed from the annotations.
    - ``wrong order``: the scores of a matched prediction and of its best duplicate are
      exchanged.
    - ``ranking``: the score of each person's best prediction is replaced by its OKS,
      all others by 0, which is the best ranking.

    Returns:
        dict[str, Callable]: Functions of index, poses and types of an image.
    """
    result: dict[str, Correct] = {}
    for number, name in enumerate(KEYPOINT_TYPES[1:], start=1):  # all but good
        result[name] = _move(lambda i, types, n=number: types.keypoint_type == n)
    result['duplicate'] = _remove(DUPLICATE)
    result['background'] = _remove(BACKGROUND)
    result['missed'] = _remove_missed
    result['wrong order'] = _exchange_scores
    result['ranking'] = _rank_by_oks
    return result


def group_corrections(diagnosis: Diagnosis) -> dict[str, Correct]:
    """List the corrections of all keypoint errors of a group.

    The groups are those of ``Diagnosis.groups`` except ``'all'``.

    Args:
        diagnosis (Diagnosis): The diagnosis.

    Returns:
        dict[str, Callable]: As :func:`corrections`, by the name of the group.
    """
    people = diagnosis.people
    start = np.searchsorted(people.image, np.arange(len(diagnosis.images) + 1))
    result = {}
    for name, mask in diagnosis.groups.items():
        if name == 'all':
            continue

        def select(i: int, types: PoseErrorTypes, mask: np.ndarray = mask):
            of_image = mask[start[i] : start[i + 1]]  # (G, K)
            selected = np.zeros(types.keypoint_type.shape, bool)
            found = types.person_type == MATCHED
            selected[found] = of_image[types.person[found]]
            return selected & (types.keypoint_type > 0)

        result[name] = _move(select)
    return result


def _unchanged(image: ImagePoses) -> Corrected:
    """All predictions and people of an image."""
    everyone = np.arange(len(image.people))
    return image.keypoints, image.scores, np.arange(len(image.scores)), everyone


def _move(select: Callable[[int, PoseErrorTypes], np.ndarray]) -> Correct:
    """Move selected keypoints to their joints."""

    def correct(i: int, image: ImagePoses, types: PoseErrorTypes) -> Corrected:
        keypoints, *rest = _unchanged(image)
        wrong = select(i, types)
        if wrong.any():
            joints = image.gt[types.person]
            keypoints = np.where(wrong[..., None], joints, keypoints)
        return (keypoints, *rest)

    return correct


def _remove(person_type: int) -> Correct:
    """Remove predictions of a type."""

    def correct(i: int, image: ImagePoses, types: PoseErrorTypes) -> Corrected:
        keypoints, scores, kept, people = _unchanged(image)
        return keypoints, scores, kept[types.person_type != person_type], people

    return correct


def _remove_missed(i: int, image: ImagePoses, types: PoseErrorTypes) -> Corrected:
    """Remove missed people."""
    *predictions, people = _unchanged(image)
    return (*predictions, people[~types.missed])


def _exchange_scores(i: int, image: ImagePoses, types: PoseErrorTypes) -> Corrected:
    """Exchange the scores of matched predictions and their best duplicates."""
    keypoints, scores, kept, people = _unchanged(image)
    scores = scores.copy()
    for matched in np.flatnonzero(types.wrong_order):
        best = np.where(types.duplicates_of(matched), types.oks, -1).argmax()
        scores[[matched, best]] = scores[[best, matched]]
    return keypoints, scores, kept, people


def _rank_by_oks(i: int, image: ImagePoses, types: PoseErrorTypes) -> Corrected:
    """Replace the score of each person's best prediction by its OKS, others by 0."""
    keypoints, _, kept, people = _unchanged(image)
    best = np.zeros(len(image.people))
    found = types.person >= 0
    np.maximum.at(best, types.person[found], types.oks[found])
    scores = np.zeros(len(types.oks))
    is_best = types.oks[found] == best[types.person[found]]
    scores[found] = np.where(is_best, types.oks[found], 0.0)
    return keypoints, scores, kept, people


def coco_ap(diagnosis: Diagnosis, correct: Correct | None = None) -> float:
    """Compute COCO's AP.

    Args:
        diagnosis (Diagnosis): The diagnosis.
        correct (Callable, optional): The correction. Defaults to ``None``: none.

    Returns:
        float: AP, 0 to 1.
    """
    oks, scores, ignored, crowd = [], [], [], []
    for image, corrected in _corrected_images(diagnosis, correct):
        keypoints, score, kept, people = corrected
        people_oks = _oks(image, keypoints)[np.ix_(kept, people)]
        matching = image.matching(people_oks, kept)
        for values, value in zip((oks, ignored, crowd), matching, strict=True):
            values.append(value)
        scores.append(score[kept])
    return oks_average_precision(oks, scores, ignored, crowd)


def _oks(image: ImagePoses, keypoints: np.ndarray) -> np.ndarray:
    """OKS (P, G) of corrected keypoints; computed only for changed predictions."""
    if keypoints is image.keypoints:
        return image.oks
    changed = (keypoints != image.keypoints).any(axis=(1, 2))
    oks = image.oks.copy()
    oks[changed] = pose_oks(keypoints[changed], image.gt, image.variances)
    return oks


def multi_person_map(diagnosis: Diagnosis, correct: Correct | None = None) -> float:
    """Compute the multi-person mAP, see :func:`rmpe_plugin.ops.multi_person_ap`.

    Args:
        diagnosis (Diagnosis): A diagnosis with reference lengths.
        correct (Callable, optional): The correction. Defaults to ``None``: none.

    Returns:
        float: mAP, percent.
    """
    gt, lengths, keypoints, scores = [], [], [], []
    for image, corrected in _corrected_images(diagnosis, correct):
        points, _, kept, people = corrected
        gt.append(image.gt[people])
        lengths.append(diagnosis.poses.lengths([image.people[g] for g in people]))
        keypoints.append(points[kept])
        scores.append(image.keypoint_scores[kept])
    return float(np.nanmean(multi_person_ap(gt, lengths, keypoints, scores)))


def _corrected_images(
    diagnosis: Diagnosis, correct: Correct | None
) -> Iterator[tuple[ImagePoses, Corrected]]:
    """Poses of each image, and what is left of them after a correction."""
    for i, (image, types) in enumerate(
        zip(diagnosis.images, diagnosis.types, strict=True)
    ):
        corrected = _unchanged(image) if correct is None else correct(i, image, types)
        yield image, corrected


def ap_gains(
    diagnosis: Diagnosis,
    track: Callable[[list], Iterator] = iter,
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Compute the AP that the correction of each type alone gains.

    Args:
        diagnosis (Diagnosis): The diagnosis.
        track (Callable): Wraps the list of corrections, to show progress. Defaults to
            ``iter``.

    Returns:
        tuple[float, dict[str, float], dict[str, float]]: AP (0 to 1), or with a
        reference length the multi-person mAP (percent), without corrections; the gain
        of each correction; and that of each group of keypoints.
    """
    types, groups = corrections(), group_corrections(diagnosis)
    metric = coco_ap
    if diagnosis.poses.reference is not None:
        metric = multi_person_map
        # The mAP ranks joints by their own scores.
        del types['wrong order'], types['ranking']
    before = metric(diagnosis)
    every = [*types.items(), *groups.items()]
    values = [metric(diagnosis, correct) - before for _, correct in track(every)]
    gains = dict(zip(types, values, strict=False))
    return before, gains, dict(zip(groups, values[len(types) :], strict=True))
