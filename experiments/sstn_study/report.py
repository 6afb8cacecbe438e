# SPDX-License-Identifier: Apache-2.0
"""Comparisons of the variants on every box set, and their tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from experiments.ablation import Change, SampledMetric, agreement, paired_change
from experiments.ablation.tables import change_cell
from rmpe_plugin.evaluation.metrics.window_iou_metric import window_iou
from rmpe_plugin.fitting.box_quality import ground_truth_windows
from rmpe_plugin.fitting.evaluation_split import METRICS
from rmpe_plugin.ops import identity_affine
from rmpe_plugin.utils.tables import Table

from . import plan
from .files import GEOMETRY, StudyFiles, matched_people, measure
from .study import read_metrics

# The metric of each seed.
Seeds = dict[int, SampledMetric]
# Metrics of each variant.
Rows = dict[str, dict[str, Seeds]]
# Ranges of the IoU of the crops, for which box sets are averaged.
_RANGES = ((0.0, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01))


@dataclass(frozen=True)
class Results:
    """Results of the study.

    Attributes:
        quality (dict[str, dict[str, float]]): See :func:`measure`, by box set.
        metrics (dict): Metrics by box set, variant, metric and seed. Variants without
            any finished seed are missing.
        windows (dict): For each SSTN and box set what :func:`compare_windows` returns.
        mining (dict): Metrics of hard keypoint mining by box set, row, metric and seed.
        seconds (dict[str, tuple[float, float]]): CPU seconds of the training of
            stage 2 and of the tests on all box sets, by variant, means over the seeds.
    """

    quality: dict[str, dict[str, float]]
    metrics: dict[str, Rows]
    windows: dict[str, dict[str, dict[str, float]]]
    mining: dict[str, Rows]
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)


def collect(
    files: StudyFiles, seeds: Sequence[int], records: Sequence[dict] = ()
) -> Results:
    """Read the results of all finished tests.

    Args:
        files (StudyFiles): The files.
        seeds (Sequence[int]): The seeds.
        records (Sequence[dict]): Records of the journal. Defaults to ``()``.

    Returns:
        Results: The results.
    """
    quality = {name: measure(files, name) for name in files.box_sets()}
    names = sorted(quality, key=lambda name: -quality[name]['iou'])
    variants = {name: (v.training, v.test) for name, v in plan.VARIANTS.items()}
    mining = {name: (t, plan.MINING) for name, t in plan.MINING_ROWS.items()}
    windows = {
        variant: {
            name: compare_windows(files, training, done, name)
            for name in names
            if (done := _finished(files, seeds, training, plan.BOXES, name))
        }
        for variant, training in plan.WINDOWS.items()
    }
    return Results(
        {name: quality[name] for name in names},
        {name: _read(files, seeds, variants, name) for name in names},
        windows,
        {
            name: _read(files, seeds, mining, name)
            for name in files.box_sets(plan.MINING)
        },
        _seconds(records),
    )


def _seconds(records: Sequence[dict]) -> dict[str, tuple[float, float]]:
    """Mean CPU seconds of training and tests by variant, of those that are finished."""
    found: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if 'cpu_seconds' in record:
            key = record['training'], record['boxes']
            found.setdefault(key, []).append(record['cpu_seconds'])
    means = {key: float(np.mean(seconds)) for key, seconds in found.items()}
    times = {}
    for name, variant in plan.VARIANTS.items():
        first = [plan.BOXES] if variant.test == plan.SECOND_PASS else []
        tests = [(variant.training, test) for test in (*first, variant.test)]
        needed = [(variant.training, 'val'), *tests]
        if variant.alternative and means.keys() >= {*needed}:
            training, *test = (means[key] for key in needed)
            times[name] = training, sum(test)
    return times


def _finished(
    files: StudyFiles, seeds: Sequence[int], training: str, test: str, name: str
) -> list[int]:
    """Seeds of which a test is evaluated."""
    return [s for s in seeds if files.metrics(training, s, test, name).exists()]


def _read(
    files: StudyFiles,
    seeds: Sequence[int],
    rows: dict[str, tuple[str, str]],
    name: str,
) -> Rows:
    """Metrics of each row, (training, test), on a box set."""
    found: Rows = {}
    for row, (training, test) in rows.items():
        metrics = {
            seed: read_metrics(files.metrics(training, seed, test, name))
            for seed in _finished(files, seeds, training, test, name)
        }
        if metrics:
            found[row] = {
                m: {seed: values[m] for seed, values in metrics.items()}
                for m in METRICS
            }
    return found


def compare_windows(
    files: StudyFiles, training: str, seeds: Sequence[int], name: str
) -> dict[str, float]:
    """Compare the windows of an SSTN with the ground-truth windows.

    Args:
        files (StudyFiles): The files.
        training (str): The training.
        seeds (Sequence[int]): Its finished seeds.
        name (str): Name of the box set.

    Returns:
        dict[str, float]: Means over people and seeds: ``iou_crop`` and ``iou``, the IoU
        of crops and windows with the ground-truth windows; ``width``, the width of the
        windows in widths of the crop, and ``width_deviation``, its standard deviation.
    """
    people, index = matched_people(files, name)
    theta_gt = ground_truth_windows(people, GEOMETRY)
    results = []
    for seed in seeds:
        with np.load(
            files.samples(training, seed, plan.BOXES, name), allow_pickle=False
        ) as samples:
            rows = np.searchsorted(samples['ids'], index)
            theta = torch.from_numpy(samples['theta'][rows]).double()
        width = theta[:, :, 0].norm(dim=1)
        results.append(
            dict(
                iou_crop=window_iou(identity_affine(theta_gt), theta_gt).mean(),
                iou=window_iou(theta, theta_gt).mean(),
                width=width.mean(),
                width_deviation=width.std(correction=0),
            )
        )
    return {key: float(np.mean([r[key] for r in results])) for key in results[0]}


def change(row: Seeds, reference: Seeds) -> Change | None:
    """Compare two rows with the seeds that both have; ``None`` if there are none."""
    seeds = [seed for seed in row if seed in reference]
    if not seeds:
        return None
    return paired_change([row[s] for s in seeds], [reference[s] for s in seeds])


def mean(seeds: Seeds) -> float:
    """Mean of a metric over the seeds."""
    return float(np.mean([sampled.value for sampled in seeds.values()]))


def changes(metrics: dict[str, Rows], metric: str) -> dict[str, dict[str, Change]]:
    """Changes of a metric from the network without an SSTN.

    Args:
        metrics (dict): Metrics by box set, variant, metric and seed.
        metric (str): ``'AP'`` or ``'mAP'``.

    Returns:
        dict[str, dict[str, Change]]: Changes by variant and box set.
    """
    found: dict[str, dict[str, Change]] = {}
    for name, rows in metrics.items():
        for variant in rows.keys() - {plan.BASELINE}:
            compared = _compare(rows, variant, plan.BASELINE, metric)
            if compared:
                found.setdefault(variant, {})[name] = compared
    return {variant: found[variant] for variant in plan.VARIANTS if variant in found}


def _compare(rows: Rows, row: str, reference: str, metric: str) -> Change | None:
    """Compare two rows of a box set; ``None`` if one is missing."""
    if row not in rows or reference not in rows:
        return None
    return change(rows[row][metric], rows[reference][metric])


def alternatives(rows: Rows) -> Rows:
    """Select the alternatives on a box set.

    Args:
        rows (dict): Metrics by variant, metric and seed.

    Returns:
        dict: Those of the alternatives, with the seeds of which all are tested.
    """
    return _with_common_seeds(
        {name: row for name, row in rows.items() if plan.VARIANTS[name].alternative}
    )


def _with_common_seeds(rows: Rows) -> Rows:
    """The rows with the seeds that all of them have."""
    seeds = [{*by_seed} for row in rows.values() for by_seed in row.values()]
    common = sorted(set.intersection(*seeds)) if seeds else []
    return {
        name: {m: {s: by_seed[s] for s in common} for m, by_seed in row.items()}
        for name, row in rows.items()
    }


@dataclass(frozen=True)
class Winner:
    """The best variant on a box set.

    Attributes:
        best (str): The variant with the highest mean.
        gain (float): Its change from the network without an SSTN.
        equal (list[str]): Variants that are not worse with all seeds, in an interval
            without 0.
    """

    best: str
    gain: float
    equal: list[str]


def winner(rows: Rows, metric: str) -> Winner | None:
    """Find the best variant on a box set.

    Args:
        rows (dict): Metrics by variant, metric and seed.
        metric (str): ``'AP'`` or ``'mAP'``.

    Returns:
        Winner | None: The best of the alternatives, with the seeds of which all are
        tested; ``None`` if there is no such seed.
    """
    rows = alternatives(rows)
    gains = {
        name: compared.mean
        for name in rows
        if (compared := _compare(rows, name, plan.BASELINE, metric))
    }
    if not gains:
        return None
    best = max(gains, key=lambda name: gains[name])
    equal = [
        name
        for name in gains
        if name != best
        and (compared := _compare(rows, name, best, metric))
        and compared.sign >= 0
    ]
    return Winner(best, gains[best], equal)


def format_tables(results: Results) -> dict[str, Table]:
    """Format the results.

    Args:
        results (Results): The results.

    Returns:
        dict[str, Table]: The tables by title. The first cell of each header is empty.
    """
    tables = {
        'What wins where': _ranking_table(results),
        'What wins on each box set': _winners_table(results),
    }
    for full in plan.CLAIMS:
        tables[f"RMPE's claims, change of mAP to {full!r}"] = _claims_table(
            results, full
        )
    for metric in METRICS:
        tables[f'Change of {metric} from no SSTN'] = _changes_table(results, metric)
    for sdtn in plan.SDTN_TESTS:
        tables[f'Length of the training{sdtn}'] = _length_table(results, sdtn)
    tables['IoU with the ground-truth windows'] = _windows_table(results)
    tables['Constant windows'] = _scale_table(results)
    if any(results.mining.values()):
        tables['Hard keypoint mining'] = _mining_table(results)
    tables['CPU time'] = Table(
        ('', 'training, minutes', 'tests, minutes'),
        [
            (name, *(f'{seconds / 60:.1f}' for seconds in times))
            for name, times in results.seconds.items()
        ],
    )
    return tables


def _quality_cells(results: Results, name: str) -> tuple[str, str]:
    """IoU of the crops, and share of the people with a box."""
    quality = results.quality[name]
    return f'{quality["iou"]:.3f}', f'{quality["people"]:.0%}'


def _percent(value: float) -> str:
    return f'{100 * value:.1f}'


def ranking(results: Results, metric: str, names: Sequence[str]) -> dict[str, float]:
    """Rank the alternatives by their mean change on some box sets.

    Args:
        results (Results): The results.
        metric (str): ``'AP'`` or ``'mAP'``.
        names (Sequence[str]): The box sets.

    Returns:
        dict[str, float]: Mean change from no SSTN of the :func:`alternatives` that are
        tested on all of them, the highest first.
    """
    rows = {name: alternatives(results.metrics[name]) for name in names}
    means = {
        variant: float(np.mean([found.mean for found in by_set.values()]))
        for variant, by_set in changes(rows, metric).items()
        if len(by_set) == len(names)
    }
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _ranking_table(results: Results) -> Table:
    """The alternatives in the order of their mean change, by the IoU of the boxes."""
    rows = []
    for low, high in _RANGES:
        names = [n for n, q in results.quality.items() if low <= q['iou'] < high]
        if names:
            cells = (
                '; '.join(
                    f'{variant} {100 * gain:+.1f}'
                    for variant, gain in ranking(results, metric, names).items()
                )
                for metric in METRICS
            )
            rows.append((f'IoU {low:g} to {min(high, 1):g}', str(len(names)), *cells))
    return Table(['', 'box sets', *(f'mean change of {m}' for m in METRICS)], rows)


def _winners_table(results: Results) -> Table:
    """The best variant on each box set, and those that are not worse."""
    header = ['', 'IoU of crops', 'people', *_triples('{0}', 'best in {0}', 'equal')]
    rows = []
    for name, variants in results.metrics.items():
        cells = []
        for metric in METRICS:
            baseline = variants.get(plan.BASELINE)
            best = winner(variants, metric)
            cells += [
                _percent(mean(baseline[metric])) if baseline else '',
                f'{best.best} ({100 * best.gain:+.1f})' if best else '',
                '; '.join(best.equal) if best else '',
            ]
        rows.append((name, *_quality_cells(results, name), *cells))
    return Table(header, rows)


def _triples(*texts: str) -> Iterator[str]:
    """Texts of each metric."""
    return (text.format(metric) for metric in METRICS for text in texts)


def claims(results: Results, full: str) -> dict[str, dict[str, Change]]:
    """Gains of the SSTN with the parallel SPPE, in mAP.

    Args:
        results (Results): The results.
        full (str): A key of :data:`plan.CLAIMS`.

    Returns:
        dict[str, dict[str, Change]]: By box set, the change from each reference whose
        tests are finished.
    """
    return {
        name: {
            reference: compared
            for reference in plan.CLAIMS[full]
            if (compared := _compare(variants, full, reference, 'mAP'))
        }
        for name, variants in results.metrics.items()
    }


def holds(compared: dict[str, Change], full: str) -> bool:
    """Whether both of RMPE's gains are above 0, in all seeds and their intervals."""
    return compared.keys() == plan.CLAIMS[full].keys() and all(
        found.sign > 0 for found in compared.values()
    )


def reaches(compared: dict[str, Change], full: str) -> bool:
    """Whether they hold and both are at least as large as in the paper."""
    return holds(compared, full) and all(
        100 * compared[name].mean >= paper for name, paper in plan.CLAIMS[full].items()
    )


def _claims_table(results: Results, full: str) -> Table:
    """Gains of the SSTN with the parallel SPPE over both variants without it."""
    header = ['', 'IoU of crops', 'people']
    for reference, paper in plan.CLAIMS[full].items():
        header += [f'from {reference!r} (paper: {paper:+.1f})', 'as in the paper']
    header += ['both', 'both as large']
    rows = []
    for name, compared in claims(results, full).items():
        cells = []
        for reference, paper in plan.CLAIMS[full].items():
            found = compared.get(reference)
            cells += (
                [change_cell(found), agreement(found, paper)] if found else ['', '']
            )
        both = ['yes' if f(compared, full) else 'no' for f in (holds, reaches)]
        rows.append((name, *_quality_cells(results, name), *cells, *both))
    return Table(header, rows)


def _changes_table(results: Results, metric: str) -> Table:
    """Change of a metric of every variant on every box set."""
    found = changes(results.metrics, metric)
    header = ['', 'IoU of crops', 'people', plan.BASELINE, *found]
    seeds = (max(len(c.seeds) for c in by_set.values()) for by_set in found.values())
    rows = [('seeds', '', '', '', *map(str, seeds))]
    for name, variants in results.metrics.items():
        baseline = variants.get(plan.BASELINE)
        value = _percent(mean(baseline[metric])) if baseline else ''
        cells = [
            change_cell(by_set[name]) if name in by_set else ''
            for by_set in found.values()
        ]
        rows.append((name, *_quality_cells(results, name), value, *cells))
    return Table(header, rows)


def _length_table(results: Results, sdtn: str) -> Table:
    """Gain of the SSTN with the parallel SPPE, and after a longer training of both."""
    pairs = [
        (plan.FULL + length + sdtn, plan.BASELINE + length) for length in plan.LENGTHS
    ]
    names = {name for pair in pairs for name in pair}
    rows = []
    for name, variants in results.metrics.items():
        common = _with_common_seeds({n: variants[n] for n in names & variants.keys()})
        compared = [_compare(common, *p, metric) for metric in METRICS for p in pairs]
        if all(compared):
            cells = map(change_cell, compared)
            rows.append((name, *_quality_cells(results, name), *cells))
    lengths = (
        f'change of {metric}{longer}'
        for metric in METRICS
        for longer in ('', ', longer training of both')
    )
    return Table(['', 'IoU of crops', 'people', *lengths], rows)


def _windows_table(results: Results) -> Table:
    """IoU of the windows of every SSTN on every box set."""
    found = {variant: by_set for variant, by_set in results.windows.items() if by_set}
    rows = [
        (
            name,
            f'{results.quality[name]["iou"]:.3f}',
            *(
                f'{by_set[name]["iou"]:.3f}' if name in by_set else ''
                for by_set in found.values()
            ),
        )
        for name in results.quality
    ]
    return Table(['', 'crops', *found], rows)


def _scale_table(results: Results) -> Table:
    """Whether a constant window explains the SSTN without the parallel SPPE."""
    header = ['', 'width of the windows', 'standard deviation']
    rows_of_text = [
        ('SSTN, mean window', plan.NO_PARALLEL),
        ('no SSTN, trained at the scale of the mean window', plan.NO_PARALLEL),
        ('no SSTN, mean window', plan.BASELINE),
    ]
    header += [
        f'{metric}: {row} - {reference}'
        for metric in METRICS
        for row, reference in rows_of_text
    ]
    windows = results.windows.get(plan.NO_PARALLEL, {})
    rows = []
    for name, variants in results.metrics.items():
        if name not in windows:
            continue
        compared = [
            _compare(variants, row, reference, metric)
            for metric in METRICS
            for row, reference in rows_of_text
        ]
        rows.append(
            (
                name,
                f'{windows[name]["width"]:.3f}',
                f'{windows[name]["width_deviation"]:.3f}',
                *(change_cell(found) if found else '' for found in compared),
            )
        )
    return Table(header, rows)


def _mining_table(results: Results) -> Table:
    """Hard keypoint mining: metrics, and changes from the loss on all keypoints."""
    reference, *_ = plan.MINING_ROWS
    header = ['', *METRICS, *(f'change of {metric}' for metric in METRICS)]
    rows = []
    for name, found in results.mining.items():
        for row, metrics in found.items():
            compared = (
                [None, None]
                if row == reference
                else [_compare(found, row, reference, m) for m in METRICS]
            )
            rows.append(
                (
                    f'{row}, {name}',
                    *(_percent(mean(metrics[m])) for m in METRICS),
                    *(change_cell(c) if c else '' for c in compared),
                )
            )
    return Table(header, rows)
