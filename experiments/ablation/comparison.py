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


class SampledMetric(NamedTuple):
    """A metric of one training, also in bootstrap samples of the test images.

    Attributes:
        value (float): The metric, 0 to 1.
        samples (np.ndarray): The metric in each sample (B,). The samples are the same
            for all trainings, so that their changes are paired.
    """

    value: float
    samples: np.ndarray


def sample_metrics(poses: MatchedPoses) -> dict[str, SampledMetric]:
    """Compute the metrics of a training.

    Args:
        poses (MatchedPoses): Its detections.

    Returns:
        dict[str, SampledMetric]: The metrics by name.
    """
    weights = bootstrap_weights(len(_people(poses)), _NUM_SAMPLES, seed=0)
    chunks = np.array_split(weights, -(-len(weights) // _CHUNK))
    return {
        metric: SampledMetric(
            _mean_ap(detections, None).item(),
            np.concatenate([_mean_ap(detections, chunk) for chunk in chunks]),
        )
        for metric, detections in poses.items()
    }


def paired_change(
    seeds: Sequence[SampledMetric], reference: Sequence[SampledMetric]
) -> Change:
    """Compare a metric of a row with that of another row.

    Args:
        seeds (Sequence[SampledMetric]): The metric with each seed.
        reference (Sequence[SampledMetric]): That of the other row, with the same seeds.

    Returns:
        Change: The change.
    """
    values, samples = (
        np.subtract(*(np.array([s[i] for s in row]) for row in (seeds, reference)))
        for i in (0, 1)
    )
    interval = np.percentile(samples.mean(axis=0), (2.5, 97.5))
    return Change(values.tolist(), tuple(interval.tolist()))


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
    reference: dict[str, list[SampledMetric]] = {}
    results = {}
    for name, seeds in rows.items():
        sampled = [sample_metrics(seed) for seed in seeds]
        metrics = {metric: [s[metric] for s in sampled] for metric in sampled[0]}
        changes = {
            metric: paired_change(metrics[metric], first)
            for metric, first in reference.items()
        }
        reference = reference or metrics
        values = {m: [s.value for s in sampled] for m, sampled in metrics.items()}
        results[name] = RowResult(values, _recall(seeds), changes)
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


def _recall(seeds: Sequence[MatchedPoses]) -> list[float]:
    """Mean recall of the joints by seed."""
    return [float(np.nanmean(seed['mAP'].recall)) for seed in seeds]


def _mean_ap(detections: ScoredDetections, weights: np.ndarray | None) -> np.ndarray:
    """Mean of the columns' AP."""
    return np.nanmean(detections.average_precision(weights), axis=-1)
