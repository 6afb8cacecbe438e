# SPDX-License-Identifier: Apache-2.0
"""Plots of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from rmpe_plugin.ops.evaluation.error_types import KEYPOINT_TYPES, MATCHED

from .diagnosis import Diagnosis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TYPE_COLORS = ('#4daf4a', '#a6d854', '#984ea3', '#ff7f00', '#e41a1c', '#999999')
SCORE_BINS = 10


def plot_types(diagnosis: Diagnosis) -> bytes:
    """Draw the share of each keypoint type per group as stacked bars.

    Args:
        diagnosis (Diagnosis): The diagnosis.

    Returns:
        bytes: The plot as PNG.
    """
    counts = diagnosis.keypoint_counts()
    figure, axes = _figure(max(6, 0.35 * len(counts) + 2))
    shares = np.array([c / c.sum() for c in counts.values()])  # (groups, 6)
    left = np.zeros(len(counts))
    labels = (*KEYPOINT_TYPES, 'person missed')
    for i, label in enumerate(labels):
        axes.bar(range(len(counts)), shares[:, i], bottom=left, label=label,
                 color=TYPE_COLORS[i])  # fmt: skip
        left += shares[:, i]
    axes.set_xticks(range(len(counts)), counts, rotation=60, ha='right', fontsize=8)
    axes.set_ylabel('share of the labelled keypoints')
    axes.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1, 1))
    return _png(figure)


def plot_gains(gains: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw the AP gained by each correction as bars, for one or more models.

    Args:
        gains (Mapping[str, Mapping[str, float]]): Gains by correction, by model.

    Returns:
        bytes: The plot as PNG.
    """
    names = list(next(iter(gains.values())))
    figure, axes = _figure(8)
    width = 0.8 / len(gains)
    for i, (model, values) in enumerate(gains.items()):
        positions = np.arange(len(names)) + (i - (len(gains) - 1) / 2) * width
        axes.bar(positions, [values[name] for name in names], width, label=model)
    axes.axhline(0, color='black', linewidth=0.8)
    axes.set_xticks(range(len(names)), names, rotation=30, ha='right', fontsize=9)
    axes.set_ylabel('AP gained by the correction')
    if len(gains) > 1:
        axes.legend(fontsize=8)
    return _png(figure)


def plot_scores(diagnoses: Mapping[str, Diagnosis]) -> bytes:
    """Draw the mean OKS of the predictions against their scores.

    The predictions are divided into ten groups of equal number by their score. OKS is 0
    for all that are not matched.

    Args:
        diagnoses (Mapping[str, Diagnosis]): Diagnoses by model.

    Returns:
        bytes: The plot as PNG.
    """
    figure, axes = _figure(5)
    for model, diagnosis in diagnoses.items():
        scores = diagnosis.scores
        oks = np.concatenate([types.oks for types in diagnosis.types])
        oks = np.where(diagnosis.person_types == MATCHED, oks, 0)
        bins = np.array_split(np.argsort(scores, kind='stable'), SCORE_BINS)
        means = [(scores[b].mean(), oks[b].mean()) for b in bins if len(b)]
        axes.plot(*np.array(means).reshape(-1, 2).T, marker='o', label=model)
    axes.set_xlabel('score of the person')
    axes.set_ylabel('mean OKS')
    if len(diagnoses) > 1:
        axes.legend(fontsize=8)
    return _png(figure)


def _figure(width: float) -> tuple[Figure, object]:
    """Create a figure without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4), layout='constrained')
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    """Encode a figure."""
    file = BytesIO()
    figure.savefig(file, format='png', dpi=90)
    return file.getvalue()
