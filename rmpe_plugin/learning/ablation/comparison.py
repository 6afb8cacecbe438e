# SPDX-License-Identifier: Apache-2.0
"""Compare the rows of a table: metrics, and their changes with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rmpe_plugin.ops import ScoredDetections, bootstrap_weights

#: MPII's multi-person mAP and COCO's AP.
METRICS = ('mAP', 'AP')
_NUM_SAMPLES = 1000
# Samples that are evaluated together, to bound memory.
_CHUNK = 25


class Change(NamedTuple):
    """Change of a metric from the first row of a table.

    Attributes:
        seeds (list[float]): Change of each seed.
        interval (tuple[float, float]): Interval that contains 95 % of the mean changes
            in bootstrap samples of the images.
    """

    seeds: list[float]
    interval: tuple[float, float]

    @property
    def mean(self) -> float:
        """Mean change."""
        return float(np.mean(self.seeds))

    @property
    def sign(self) -> int:
        """Sign, 1 or -1; 0 if the interval contains 0 or the signs of seeds differ."""
        signs = {int(np.sign(value)) for value in (*self.seeds, *self.interval)}
        return signs.pop() if len(signs) == 1 else 0


class RowResult(NamedTuple):
    """Results of a row.

    Attributes:
        values (dict[str, list[float]]): Each metric by seed, 0 to 1.
        changes (dict[str, Change]): Change of each metric from the first row; empty for
            the first row.
    """

    values: dict[str, list[float]]
    changes: dict[str, Change]


TableResult = dict[str, RowResult]


def compare_rows(
    rows: Mapping[str, Sequence[Mapping[str, ScoredDetections]]],
) -> TableResult:
    """Compute the metrics of each row, and their changes from the first row.

    Args:
        rows (Mapping): For each row one entry per seed: the detections by metric. All
            are of the same images.

    Returns:
        TableResult: The results of each row.
    """
    results: TableResult = {}
    reference: dict[str, np.ndarray] = {}
    for name, seeds in rows.items():
        values, changes = {}, {}
        for metric in METRICS:
            detections = [seed[metric] for seed in seeds]
            values[metric] = [_mean_ap(d, None).item() for d in detections]
            samples = _bootstrap(detections)
            if not results:
                reference[metric] = samples
                continue
            first = next(iter(results.values())).values[metric]
            low, high = np.percentile(samples - reference[metric], (2.5, 97.5))
            changes[metric] = Change(
                np.subtract(values[metric], first).tolist(), (float(low), float(high))
            )
        results[name] = RowResult(values, changes)
    return results


def _bootstrap(seeds: Sequence[ScoredDetections]) -> np.ndarray:
    """Mean of the seeds' metric in bootstrap samples of the images (B,)."""
    weights = bootstrap_weights(len(seeds[0].number), _NUM_SAMPLES, seed=0)
    chunks = np.array_split(weights, -(-_NUM_SAMPLES // _CHUNK))
    return np.mean(
        [np.concatenate([_mean_ap(d, chunk) for chunk in chunks]) for d in seeds],
        axis=0,
    )


def _mean_ap(detections: ScoredDetections, weights: np.ndarray | None) -> np.ndarray:
    """Mean of the columns' AP."""
    return np.nanmean(detections.average_precision(weights), axis=-1)
