# SPDX-License-Identifier: Apache-2.0
r"""Measure when the spatial transformer (SSTN) of RMPE pays.

Draws groups of synthetic people, trains a detector, and tests on many box sets: of the
detector after 1, 2 and 4 epochs, of its PGPG model with scaled offsets, without feet or
head, and around two people. For each seed one network of stage 1 is trained, and from
it those that are compared: without an SSTN (also with a larger padding, and in two
passes), with an SSTN and the parallel SPPE, the window loss, or none of them, with an
SDTN that maps keypoints, and with the authors' settings. Hard keypoint mining with a
falling number of keypoints is also measured.

The SSTN with and without the parallel SPPE and no SSTN, also after a longer training,
and hard keypoint mining have all seeds, the others only the first one, to limit the
time.

An interrupted run continues with the jobs that are missing from journal.jsonl in
--work-dir, and a training after its last epoch. After each part of --plan the results
so far are written to results.json, table.md and sstn.png.

Example:
    python -m experiments.sstn_study --plan
    python -m experiments.sstn_study --work-dir work_dirs/sstn_study
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from experiments.ablation import MIN_AP, Change, to_markdown
from experiments.comparison import add_seeds
from rmpe_plugin.fitting.evaluation_split import METRICS
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.files import atomic_write
from rmpe_plugin.utils.tables import Table, rich_table, table_console

from . import plan, report
from .figure import draw
from .study import SSTNStudy


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size',
        choices=tuple(plan.SIZES),
        default='cpu',
        help='cpu: for two cores, see --plan; gpu: for a CUDA device and 16 cores; '
        'tiny: only to try the program (default: cpu)',
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/sstn_study'))
    add_seeds(parser, (0, 1, 2))
    parser.add_argument(
        '--jobs',
        type=at_least(1),
        help='trainings in parallel (default: depends on --size)',
    )
    parser.add_argument(
        '--plan', action='store_true', help='print the parts and their hours, and exit'
    )
    args = parser.parse_args()
    if args.size == 'gpu' and not args.plan and not torch.cuda.is_available():
        parser.error('--size gpu needs a CUDA device, but torch finds none')
    return args


def plan_table(size: str, seeds: Sequence[int]) -> Table:
    """Build the table of the parts of the study."""
    parts = plan.estimate(plan.SIZES[size], seeds)
    total = plan.Part('total', sum(p.jobs for p in parts), sum(p.hours for p in parts))
    rows = [(p.name, str(p.jobs), f'{p.hours:.1f}') for p in (*parts, total)]
    return Table(('part', 'jobs', 'hours on two cores (Intel Xeon with AMX)'), rows)


def run(study: SSTNStudy, seeds: Sequence[int]) -> tuple[report.Results, list[str]]:
    """Run what is missing, and write the results so far after each part.

    Returns:
        tuple[Results, list[str]]: The results, and messages of the jobs and evaluations
        that failed.
    """
    study.prepare()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failures = []
    with Progress('{task.description}', *columns, refresh_per_second=1) as progress:
        for phases in plan.stages(seeds).values():
            try:
                study.run_phases(phases, progress)
            except RuntimeError as error:
                failures.append(str(error))
            failures += study.evaluate(seeds, progress)
            results = write(study, seeds)
    return results, failures


def write(study: SSTNStudy, seeds: Sequence[int]) -> report.Results:
    """Write the results so far, and return them."""
    folder, size = study.files.folder, study.files.size
    results = report.collect(study.files, seeds, study.records)
    tables = report.format_tables(results)
    with atomic_write(folder / 'results.json') as file:
        json.dump(dict(to_json(results), settings=study.settings), file, indent=1)
    with atomic_write(folder / 'table.md') as file:
        file.write('\n'.join([*summarise(results), '', to_markdown(tables)]))
    draw(results, plan.box_sets(size), folder / 'sstn.png')
    return results


def summarise(results: report.Results) -> list[str]:
    """Say whether the networks are trained, and where RMPE's claims hold."""
    lines = []
    trained = results.metrics.get(plan.GROUND_TRUTH, {})
    for variant in (plan.BASELINE, plan.FULL):
        if variant in trained:
            ap = report.mean(trained[variant]['AP'])
            enough = 'at least' if ap >= MIN_AP else 'less than'
            lines.append(
                f'{variant}: AP {ap:.3f} on ground-truth boxes, {enough} {MIN_AP}.'
            )
    for full in plan.CLAIMS:
        claims = report.claims(results, full)
        for text, test in (
            (f"Both of RMPE's gains to {full!r} are above 0", report.holds),
            ("Both are at least the paper's", report.reaches),
        ):
            names = [name for name, found in claims.items() if test(found, full)]
            lines.append(f'{text} on: {"; ".join(names) or "no box set"}.')
    return lines


def to_json(results: report.Results) -> dict:
    """Convert the results to JSON types."""
    return dict(
        box_sets=results.quality,
        variants={
            name: {variant: _values(metrics) for variant, metrics in rows.items()}
            for name, rows in results.metrics.items()
        },
        changes={
            metric: {
                variant: {name: _change(found) for name, found in by_set.items()}
                for variant, by_set in report.changes(results.metrics, metric).items()
            }
            for metric in METRICS
        },
        claims={
            full: {
                name: {ref: _change(found) for ref, found in compared.items()}
                for name, compared in report.claims(results, full).items()
            }
            for full in plan.CLAIMS
        },
        winners={
            name: {
                metric: asdict(found)
                for metric in METRICS
                if (found := report.winner(rows, metric))
            }
            for name, rows in results.metrics.items()
        },
        windows=results.windows,
        seconds=results.seconds,
        mining={
            name: {row: _values(metrics) for row, metrics in rows.items()}
            for name, rows in results.mining.items()
        },
    )


def _values(metrics: dict[str, report.Seeds]) -> dict[str, dict[int, float]]:
    """Values of each metric by seed."""
    return {
        metric: {seed: sampled.value for seed, sampled in seeds.items()}
        for metric, seeds in metrics.items()
    }


def _change(change: Change) -> dict:
    """A change with its mean."""
    return dict(change._asdict(), mean=change.mean)


def main() -> None:
    args = parse_args()
    console = table_console()
    if args.plan:
        console.print(rich_table(plan_table(args.size, args.seeds)))
        return
    try:
        study = SSTNStudy(args.work_dir, plan.SIZES[args.size], args.jobs)
        results, failures = run(study, args.seeds)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from error
    for title, table in report.format_tables(results).items():
        console.print(rich_table(table, title))
    console.print('\n'.join(summarise(results)))
    for name in ('results.json', 'table.md', 'sstn.png'):
        print(study.files.folder / name)
    if failures:
        raise SystemExit('\n'.join(dict.fromkeys(failures)))


if __name__ == '__main__':
    main()
