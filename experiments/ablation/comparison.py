# SPDX-License-Identifier: Apache-2.0
"""Compare the rows of a table: metrics, and their changes with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rmpe_plugin.ops import ScoredDetections, bootstrap_weights

_NUM_SAMPLES = 1000
# Samples that are evaluated together, to bound memory.
_CHUNK = 25

#: The detections of one training by metric.
MatchedPoses = Mapping[str, ScoredDetections]


class Change(NamedTuple):
    """Change of a metric from the first row of a table.

    Attributes:
        seeds (list[float]): Change of each seed.
        interval (tuple[float, float]): Interval that contains 95 % of the mean changes
            in bootstrap samples of the test images. It does not contain the variation
            between trainings, which ``seeds`` shows.
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
        signs = np.sign((*self.seeds, *self.interval))
        return int(signs[0]) if (signs == signs[0]).all() else 0


class RowResult(NamedTuple):
    """Results of a row.

    Attributes:
        values (dict[str, list[float]]): Each metric by seed, 0 to 1.
        recall (list[float]): Share of the joints that are found at the threshold of mAP
            by seed, the mean over the joints, 0 to 1.
        changes (dict[str, Change]): Change of each metric from the first row; empty for
            the first row.
    """

    values: dict[str, list[float]]
    recall: list[float]
    changes: dict[str, Change]


TableResult = dict[str, RowResult]


def compare_rows(rows: Mapping[str, Sequence[MatchedPoses]]) -> TableResult:
    """Compute the metrics of each row, and their changes from the first row.

    The bootstrap is paired: all rows and seeds are evaluated on the same samples.

    Args:
        rows (Mapping[str, Sequence[MatchedPoses]]): For each row one entry per seed.

    Returns:
        TableResult: The results of each row.

    Raises:
        ValueError: If a row has other images than the first row.
    """
    _require_same_people(rows)
    first, *others = rows
    results = {first: RowResult(_values(rows[first]), _recall(rows[first]), {})}
    weights = bootstrap_weights(len(_people(rows[first][0])), _NUM_SAMPLES, seed=0)
    reference = _bootstrap(rows[first], weights)
    for name in others:
        values = _values(rows[name])
        samples = _bootstrap(rows[name], weights)
        changes = {}
        for metric, seeds in values.items():
            change = np.subtract(seeds, results[first].values[metric])
            interval = np.percentile(samples[metric] - reference[metric], (2.5, 97.5))
            changes[metric] = Change(change.tolist(), tuple(interval.tolist()))
        results[name] = RowResult(values, _recall(rows[name]), changes)
    return results


def _people(poses: MatchedPoses) -> np.ndarray:
    """Number of people and joints in each image, by all metrics (I, C)."""
    return np.hstack([detections.num_targets for detections in poses.values()])


def _require_same_people(rows: Mapping[str, Sequence[MatchedPoses]]) -> None:
    """Raise a ValueError if a row is not of the images of the first row."""
    people = _people(next(iter(rows.values()))[0])
    for name, seeds in rows.items():
        if not all(np.array_equal(_people(seed), people) for seed in seeds):
            raise ValueError(
                'all rows must have the same images and people, but '
                f'{name!r} has others'
            )


def _values(seeds: Sequence[MatchedPoses]) -> dict[str, list[float]]:
    """Each metric by seed."""
    return {
        metric: [_mean_ap(seed[metric], None).item() for seed in seeds]
        for metric in seeds[0]
    }


def _recall(seeds: Sequence[MatchedPoses]) -> list[float]:
    """Mean recall of the joints by seed."""
    return [float(np.nanmean(seed['mAP'].recall)) for seed in seeds]


def _bootstrap(
    seeds: Sequence[MatchedPoses], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean of each metric over the seeds, in bootstrap samples of the images (B,)."""
    chunks = np.array_split(weights, -(-len(weights) // _CHUNK))
    return {
        metric: np.mean(
            [
                np.concatenate([_mean_ap(seed[metric], chunk) for chunk in chunks])
                for seed in seeds
            ],
            axis=0,
        )
        for metric in seeds[0]
    }


def _mean_ap(detections: ScoredDetections, weights: np.ndarray | None) -> np.ndarray:
    """Mean of the columns' AP."""
    return np.nanmean(detections.average_precision(weights), axis=-1)
