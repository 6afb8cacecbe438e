# SPDX-License-Identifier: Apache-2.0
"""COCO's keypoint AP from matrices of similarities.

The rules are those of pycocotools' ``COCOeval`` for all areas. Evaluations of many
variants of the same predictions, as in an error diagnosis, need neither records nor
files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .keypoint_similarity import THRESHOLDS
from .scored_detections import ScoredDetections

#: COCO evaluates the predictions with the highest scores of each image.
MAX_PREDICTIONS = 20
_NUM_RECALLS = 101
# Images that are matched together, to bound memory.
_CHUNK = 256


def oks_average_precision(
    oks: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray],
    crowd: Sequence[np.ndarray],
) -> float:
    """Compute COCO's AP, the mean over the OKS thresholds 0.5 to 0.95.

    Each argument has one array per image. Equal scores are ranked in the order of the
    images, then of the predictions. pycocotools sorts the images by id.

    Args:
        oks (Sequence[np.ndarray]): OKS of each prediction and annotation (P, G).
        scores (Sequence[np.ndarray]): Scores of the predictions (P,).
        ignored (Sequence[np.ndarray]): Whether an annotation is not evaluated (G,).
            Predictions that are matched to it are ignored.
        crowd (Sequence[np.ndarray]): Whether an annotation can be matched to any number
            of predictions (G,).

    Returns:
        float: AP, 0 to 1; NaN if no annotation is evaluated.

    Raises:
        ValueError: If there are no images.

    Example:
        >>> oks = np.array([[0.9, 0.0], [0.0, 0.7]])
        >>> no = np.zeros(2, bool)
        >>> ap = oks_average_precision([oks], [np.array([0.8, 0.6])], [no], [no])
        >>> round(ap, 3)
        0.702
    """
    return float(
        pose_detections(oks, scores, ignored, crowd).average_precision().mean()
    )


def pose_detections(
    oks: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray],
    crowd: Sequence[np.ndarray],
) -> ScoredDetections:
    """Match predictions to annotations as COCO's evaluation does.

    Args:
        oks (Sequence[np.ndarray]): As :func:`oks_average_precision`'s.
        scores (Sequence[np.ndarray]): As :func:`oks_average_precision`'s.
        ignored (Sequence[np.ndarray]): As :func:`oks_average_precision`'s.
        crowd (Sequence[np.ndarray]): As :func:`oks_average_precision`'s.

    Returns:
        ScoredDetections: A column per OKS threshold.

    Raises:
        ValueError: If there are no images.

    Example:
        >>> oks, no = np.array([[0.9], [0.8]]), np.zeros(1, bool)
        >>> detections = pose_detections([oks], [np.array([0.8, 0.6])], [no], [no])
        >>> detections.correct[:, 0]
        array([ True, False])
    """
    if not len(oks):
        raise ValueError('oks must have at least one image, got none')
    # Images of similar size are padded together.
    order = sorted(range(len(oks)), key=lambda i: oks[i].shape)
    parts = [
        _match_images(
            *([x[i] for i in order[start : start + _CHUNK]]
              for x in (oks, scores, ignored, crowd))
        )
        for start in range(0, len(order), _CHUNK)
    ]  # fmt: skip
    flat_scores, correct, skipped = (
        np.concatenate(x) for x in zip(*parts, strict=True)
    )
    # Equal scores are ranked in the order of the images.
    image = np.repeat(order, [min(len(scores[i]), MAX_PREDICTIONS) for i in order])
    ranking = np.lexsort((image, -flat_scores))
    columns = np.ones(len(THRESHOLDS), int)
    number = np.array([int((~x).sum()) for x in ignored])
    return ScoredDetections(
        image=image[ranking, None] * columns,
        correct=correct[ranking],
        counted=~skipped[ranking],
        num_targets=number[:, None] * columns,
        num_recalls=_NUM_RECALLS,
    )


def _match_images(
    oks: list[np.ndarray],
    scores: list[np.ndarray],
    ignored: list[np.ndarray],
    crowd: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (N,) of the predictions; whether they are correct and ignored (N, T)."""
    tops = [np.argsort(-s, kind='stable')[:MAX_PREDICTIONS] for s in scores]
    rows, columns = max(map(len, tops)), max(x.shape[1] for x in oks)
    if not rows:
        empty = np.zeros((0, len(THRESHOLDS)), bool)
        return np.zeros(0), empty, empty
    padded = np.full((len(oks), rows, max(1, columns)), -1.0)
    is_ignored = np.zeros((len(oks), max(1, columns)), bool)
    is_crowd = is_ignored.copy()
    exists = np.zeros((len(oks), rows), bool)
    for i, top in enumerate(tops):
        people = oks[i].shape[1]
        padded[i, : len(top), :people] = oks[i][top]
        is_ignored[i, :people], is_crowd[i, :people] = ignored[i], crowd[i]
        exists[i, : len(top)] = True

    thresholds = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    free = np.ones((len(oks), len(THRESHOLDS), padded.shape[2]), bool)
    correct = np.zeros((len(oks), rows, len(THRESHOLDS)), bool)
    skipped = correct.copy()
    # One step per rank, because each match depends on those of higher scores.
    for rank in range(rows):
        similarity = padded[:, rank, None]  # (I, 1, G)
        usable = free & (similarity >= thresholds)
        regular = usable & ~is_ignored[:, None]
        correct[:, rank] = regular.any(axis=-1)
        skipped[:, rank] = ~correct[:, rank] & usable.any(axis=-1)
        # Evaluated annotations first, and the last one among equals
        value = np.where(usable, similarity + 2 * regular, -1)
        best = value.shape[-1] - 1 - value[..., ::-1].argmax(axis=-1)  # (I, T)
        image, level = np.nonzero(correct[:, rank] | skipped[:, rank])
        person = best[image, level]
        free[image, level, person] = is_crowd[image, person]
    kept = np.concatenate([scores[i][top] for i, top in enumerate(tops)])
    return kept, correct[exists], skipped[exists]
