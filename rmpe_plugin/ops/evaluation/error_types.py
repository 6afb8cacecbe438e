# SPDX-License-Identifier: Apache-2.0
"""Types of errors of predicted poses.

After Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation" (ICCV 2017), sections 3.1 to 3.3. The similarity of a predicted and a
ground-truth keypoint is ``exp(-d^2 / (2 variance))``, one term of COCO's OKS, with a
variance for each person and keypoint, see
:func:`~rmpe_plugin.ops.oks_variances` and
:func:`~rmpe_plugin.ops.head_size_variances`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

#: Types of predicted keypoints, in the order of their numbers.
KEYPOINT_TYPES = ('good', 'jitter', 'inversion', 'swap', 'miss')
#: Types of predicted people, in the order of their numbers.
PERSON_TYPES = ('matched', 'duplicate', 'background', 'ignored')
#: Number of a keypoint without type: it is not labelled, or its person is unmatched.
NO_TYPE = -1

GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
MATCHED, DUPLICATE, BACKGROUND, IGNORED = range(4)


@dataclass(frozen=True)
class ErrorThresholds:
    """Thresholds of the error types. The defaults are those of the paper.

    Args:
        good (float): Lowest similarity of a good keypoint. Defaults to 0.85.
        close (float): Lowest similarity of a keypoint that is close to a joint: jitter
            for its own joint, inversion or swap for another. Defaults to 0.5.
        match (float): Lowest OKS with which a prediction can be matched to a person.
            Predictions below are background. Defaults to 0.1.

    Raises:
        ValueError: Unless 0 < ``close`` <= ``good`` <= 1 and 0 < ``match`` <= 1.
    """

    good: float = 0.85
    close: float = 0.5
    match: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.close <= self.good <= 1 or not 0 < self.match <= 1:
            raise ValueError(
                'thresholds must satisfy 0 < close <= good <= 1 and 0 < match <= 1, '
                f'got close={self.close}, good={self.good}, match={self.match}'
            )


#: The thresholds of the paper.
PAPER_THRESHOLDS = ErrorThresholds()


class PoseErrorTypes(NamedTuple):
    """Error types of the predictions and people of an image.

    Attributes:
        person (np.ndarray): Index of the most similar person (P,), for a matched
            prediction the one that it is matched to; -1 for background and ignored.
        oks (np.ndarray): OKS with this person (P,), 0 without.
        person_type (np.ndarray): Numbers of :data:`PERSON_TYPES` (P,).
        keypoint_type (np.ndarray): Numbers of :data:`KEYPOINT_TYPES` (P, K), or
            :data:`NO_TYPE`.
        similarity (np.ndarray): Similarity of each keypoint to its joint (P, K); NaN
            where there is no type.
        wrong_order (np.ndarray): Whether a duplicate with a lower score is more similar
            to the person (P,), for matched predictions.
        missed (np.ndarray): Whether no prediction is matched to a person (G,).
    """

    person: np.ndarray
    oks: np.ndarray
    person_type: np.ndarray
    keypoint_type: np.ndarray
    similarity: np.ndarray
    wrong_order: np.ndarray
    missed: np.ndarray

    def duplicates_of(self, prediction: int) -> np.ndarray:
        """Select the duplicates of the person that a prediction is matched to.

        Args:
            prediction (int): Index of a matched prediction.

        Returns:
            np.ndarray: Mask (P,).
        """
        same = self.person == self.person[prediction]
        return same & (self.person_type == DUPLICATE)


def pose_error_types(
    keypoints: np.ndarray,
    scores: np.ndarray,
    gt: np.ndarray,
    variances: np.ndarray,
    ignored: np.ndarray | None = None,
    thresholds: ErrorThresholds = PAPER_THRESHOLDS,
    confusable: np.ndarray | None = None,
) -> PoseErrorTypes:
    """Determine the error types of the predictions of an image.

    1. In the order of decreasing scores, each prediction is matched to the person of
       the highest OKS that is not matched yet, if the OKS reaches ``match``.
    2. A prediction that is not matched is a duplicate if its OKS with a person reaches
       ``match``, otherwise background.
    3. Each labelled keypoint of a matched prediction is good or jitter by the
       similarity to its own joint. Otherwise it is an inversion if it is close to
       another joint of the same person, a swap if it is close to a joint of another
       person, the more similar one deciding, and a miss if it is close to none.

    Args:
        keypoints (np.ndarray): Predicted keypoints (P, K, 2), pixels.
        scores (np.ndarray): Scores of the predictions (P,).
        gt (np.ndarray): Annotated keypoints (G, K, 2), pixels; NaN where not labelled.
        variances (np.ndarray): Variances of the similarity (G, K), pixels squared.
        ignored (np.ndarray, optional): Whether each prediction belongs to an annotation
            that is not evaluated, such as a crowd (P,). Such a prediction is ignored
            unless it is matched. Defaults to ``None``: none.
        thresholds (ErrorThresholds): The thresholds. Defaults to the paper's.
        confusable (np.ndarray, optional): Boolean matrix (K, K): whether a predicted
            keypoint of the row's kind can be an inversion or a swap of the column's
            joint. Defaults to ``None``: all.

    Returns:
        PoseErrorTypes: The types.

    Example:
        >>> gt = np.array([[[0.0, 0.0], [50.0, 0.0]]])
        >>> pose = np.array([[[1.0, 0.0], [2.0, 0.0]], [[900.0, 0.0], [900.0, 9.0]]])
        >>> types = pose_error_types(
        ...     pose, np.array([0.9, 0.4]), gt, np.array([[25.0, 25.0]]))
        >>> [PERSON_TYPES[i] for i in types.person_type]
        ['matched', 'background']
        >>> [KEYPOINT_TYPES[i] for i in types.keypoint_type[0]]
        ['good', 'inversion']
    """
    own = _similarity(keypoints[:, None], gt, variances)  # (P, G, K)
    labelled = np.isfinite(gt).all(axis=-1)  # (G, K)
    oks = _mean_labelled(own, labelled)  # (P, G)

    matched = _match(oks, scores, thresholds.match)
    best = oks.argmax(axis=1) if len(gt) else np.zeros(len(keypoints), int)
    person = np.where(matched >= 0, matched, best)
    rows = np.arange(len(keypoints))
    oks = oks[rows, person] if len(gt) else np.zeros(len(keypoints))

    person_type = np.where(oks >= thresholds.match, DUPLICATE, BACKGROUND)
    if ignored is not None:
        person_type[ignored] = IGNORED
    person_type[matched >= 0] = MATCHED
    is_person = (person_type == MATCHED) | (person_type == DUPLICATE)

    keypoint_type = np.full(keypoints.shape[:2], NO_TYPE)
    similarity = np.full(keypoints.shape[:2], np.nan)
    found = person_type == MATCHED
    if found.any():
        similarity[found] = np.where(
            labelled[person[found]], own[rows, person][found], np.nan
        )
        keypoint_type[found] = _keypoint_types(
            keypoints[found],
            person[found],
            similarity[found],
            (gt, variances),
            thresholds,
            confusable,
        )
    return PoseErrorTypes(
        person=np.where(is_person, person, -1),
        oks=np.where(is_person, oks, 0.0),
        person_type=person_type,
        keypoint_type=keypoint_type,
        similarity=similarity,
        wrong_order=_wrong_order(person, oks, person_type, len(gt)),
        missed=~np.isin(np.arange(len(gt)), matched),
    )


def pose_oks(
    keypoints: np.ndarray, gt: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """Compute the OKS of each prediction and each person.

    Args:
        keypoints (np.ndarray): Predicted keypoints (P, K, 2), pixels.
        gt (np.ndarray): Annotated keypoints (G, K, 2), pixels; NaN where not labelled.
        variances (np.ndarray): Variances of the similarity (G, K), pixels squared.

    Returns:
        np.ndarray: OKS (P, G), 0 for people without labelled keypoints.

    Example:
        >>> gt = np.array([[[0.0, 0.0], [np.nan, np.nan]]])
        >>> pose_oks(np.array([[[3.0, 4.0], [9.0, 9.0]]]), gt, np.full((1, 2), 12.5))
        array([[0.36787944]])
    """
    similarity = _similarity(keypoints[:, None], gt, variances)
    return _mean_labelled(similarity, np.isfinite(gt).all(axis=-1))


def pose_pck(keypoints: np.ndarray, gt: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Compute the share of correct joints of each prediction for each person.

    Args:
        keypoints (np.ndarray): Predicted keypoints (P, K, 2), pixels; NaN where not
            predicted.
        gt (np.ndarray): Annotated keypoints (G, K, 2), pixels; NaN where not labelled.
        radius (np.ndarray): Largest distance of a correct joint of each person (G,),
            pixels; half of the head size for PCKh@0.5.

    Returns:
        np.ndarray: PCK (P, G), 0 for people without labelled keypoints.

    Example:
        >>> gt = np.array([[[0.0, 0.0], [0.0, 9.0], [np.nan, np.nan]]])
        >>> pose = np.array([[[3.0, 4.0], [9.0, 9.0], [0.0, 0.0]]])
        >>> pose_pck(pose, gt, np.array([5.0]))
        array([[0.5]])
    """
    x, y = np.moveaxis(keypoints[:, None] - gt, -1, 0)
    correct = np.hypot(x, y) <= np.asarray(radius)[:, None]
    return _mean_labelled(correct, np.isfinite(gt).all(axis=-1))


def _mean_labelled(similarity: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Mean (P, G) of similarities (P, G, K) over the labelled keypoints (G, K)."""
    return similarity.sum(axis=-1) / labelled.sum(axis=-1).clip(min=1)


def _similarity(
    keypoints: np.ndarray, gt: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """Similarities of keypoints (..., 2) and joints (..., 2); 0 where not labelled."""
    # Faster than a sum over an axis of two
    x, y = np.moveaxis(keypoints - gt, -1, 0)
    similarity = np.exp(-(x * x + y * y) / (2 * variances))
    return np.where(np.isnan(similarity), 0.0, similarity)


def _match(oks: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Match predictions to people (P, G), the highest scores first; -1 is unmatched."""
    remaining = np.where(oks >= threshold, oks, -1.0)
    matched = np.full(len(oks), -1)
    if not oks.size:
        return matched
    # One step per prediction of an image, because each depends on those before it.
    for i in np.argsort(-np.asarray(scores), kind='stable'):
        person = remaining[i].argmax()
        if remaining[i, person] >= 0:
            matched[i] = person
            remaining[:, person] = -1.0
    return matched


def _keypoint_types(
    keypoints: np.ndarray,
    person: np.ndarray,
    similarity: np.ndarray,
    people: tuple[np.ndarray, np.ndarray],
    thresholds: ErrorThresholds,
    confusable: np.ndarray | None,
) -> np.ndarray:
    """Types (M, K) of keypoints (M, K, 2) that are matched to the people (M,)."""
    types = np.select(
        [np.isnan(similarity), similarity >= thresholds.good,
         similarity >= thresholds.close],
        [NO_TYPE, GOOD, JITTER],
        MISS,
    )  # fmt: skip
    row, joint = np.nonzero(types == MISS)
    # Similarity of the wrong keypoints to all joints of all people (E, G, K)
    others = _similarity(keypoints[row, joint][:, None, None], *people)
    if confusable is not None:
        others = others * confusable[joint][:, None]
    every = np.arange(len(row))
    own = others[every, person[row]].max(axis=-1, initial=0.0)
    others[every, person[row]] = 0.0
    other = others.max(axis=(-2, -1), initial=0.0)
    close = np.maximum(own, other) >= thresholds.close
    types[row[close], joint[close]] = np.where(own >= other, INVERSION, SWAP)[close]
    return types


def _wrong_order(
    person: np.ndarray, oks: np.ndarray, person_type: np.ndarray, number: int
) -> np.ndarray:
    """Whether a matched prediction has a duplicate with a higher OKS (P,)."""
    best = np.zeros(number)
    duplicate = person_type == DUPLICATE
    np.maximum.at(best, person[duplicate], oks[duplicate])
    wrong = np.zeros(len(person), bool)
    found = person_type == MATCHED
    wrong[found] = best[person[found]] > oks[found]
    return wrong
