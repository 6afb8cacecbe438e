# SPDX-License-Identifier: Apache-2.0
"""Average precision of detections that are already matched to people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScoredDetections:
    """Detections of some images, sorted by decreasing score.

    Columns are evaluated separately: joints (mAP) or thresholds (COCO's AP).

    Args:
        image (np.ndarray): Index of the image of each detection (N, C).
        correct (np.ndarray): Whether it is a true positive (N, C).
        counted (np.ndarray): False for ignored detections, which are neither true nor
            false positives (N, C).
        num_targets (np.ndarray): Number of people or joints to detect in each image
            (I, C).
        num_recalls (int, optional): Number of equidistant recalls at which the
            precision is averaged, 101 for COCO. Defaults to ``None``: the area below
            the curve.
    """

    image: np.ndarray
    correct: np.ndarray
    counted: np.ndarray
    num_targets: np.ndarray
    num_recalls: int | None = None

    @property
    def recall(self) -> np.ndarray:
        """Share of the targets that are detected, of each column (C,), 0 to 1."""
        number = self.num_targets.sum(axis=0)
        found = self.correct.sum(axis=0) / np.maximum(number, 1)
        return np.where(number > 0, found, np.nan)

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Compute the average precision of each column.

        Precision is made monotone: at each recall it is the highest precision at this
        or a higher recall.

        Args:
            weights (np.ndarray, optional): How often each image occurs (..., I), a
                whole number, as in a bootstrap sample. Defaults to ``None``: once.

        Returns:
            np.ndarray: AP (..., C), 0 to 1; NaN where there is nothing to detect.

        Example:
            >>> image = np.array([[0], [1], [0]])
            >>> correct = np.array([[True], [False], [True]])
            >>> detections = ScoredDetections(
            ...     image, correct, np.full((3, 1), True), np.array([[2], [0]])
            ... )
            >>> detections.average_precision().round(3)
            array([0.833])
            >>> detections.average_precision(np.array([[1, 1], [1, 0]])).round(3)
            array([[0.833],
                   [1.   ]])
        """
        if weights is None:
            weights = np.ones(len(self.num_targets))
        weight = np.asarray(weights, float)[..., self.image]  # (..., N, C)
        true = (weight * self.correct).cumsum(axis=-2)
        counted = (weight * self.counted).cumsum(axis=-2)
        precision = true / counted.clip(min=1)
        monotone = np.maximum.accumulate(precision[..., ::-1, :], axis=-2)[..., ::-1, :]
        number = weights @ self.num_targets  # (..., C)
        recall = true / np.maximum(number, 1)[..., None, :]
        share = np.diff(self._share_below(recall), axis=-2, prepend=0)
        area = (share * monotone).sum(axis=-2)
        return np.where(number > 0, area, np.nan)

    def _share_below(self, recall: np.ndarray) -> np.ndarray:
        """Share of the averaged recalls that are at most ``recall``."""
        if self.num_recalls is None:
            return recall
        recalls = np.linspace(0, 1, self.num_recalls)
        return np.searchsorted(recalls, recall, side='right') / self.num_recalls
