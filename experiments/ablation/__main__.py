# SPDX-License-Identifier: Apache-2.0
"""Repeat the ablations of RMPE and CPN on groups of synthetic people.

Draws the people, trains a detector on images of its own, fits PGPG to its boxes, and
trains one initialisation, from which the networks of all rows start. Learns pose NMS on
images that are used for nothing else, and tests on the detections of the validation
images. Every training writes its config to its work directory, so that it can be
inspected or run again. The last table compares the windows of the SSTNs with the crops.

An interrupted run continues with the jobs that are missing from journal.jsonl in
--work-dir. The results are written to results.json, table.md and ablation.png.

Example:
    python -m experiments.ablation --size cpu --work-dir work_dirs/ablation
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from experiments.ablation import (
    GT_BOXES_ROW,
    MIN_AP,
    RMPE_TABLE,
    SIZES,
    TABLES,
    Ablation,
    TableResult,
    Windows,
    format_tables,
    to_markdown,
)
from experiments.comparison import add_seeds
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.files import atomic_write
from rmpe_plugin.utils.tables import Table, rich_table, table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size',
        choices=tuple(SIZES),
        default='cpu',
        help='cpu: about four hours on two cores; gpu: for a CUDA device and 16 cores; '
        'tiny: only to try the script (default: cpu)',
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablation'))
    add_seeds(parser, (0, 1, 2))
    parser.add_argument(
        '--jobs',
        type=at_least(1),
        help='trainings in parallel, and processes of the detector '
        '(default: depends on --size)',
    )
    args = parser.parse_args()
    if args.size == 'gpu' and not torch.cuda.is_available():
        parser.error('--size gpu needs a CUDA device, but torch finds none')
    return args


def run(ablation: Ablation, seeds: list[int]) -> tuple[dict[str, TableResult], Windows]:
    """Run what is missing; the results of every table, and the SSTNs' windows."""
    ablation.prepare()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress('{task.description}', *columns, refresh_per_second=1) as progress:
        ablation.run(seeds, progress)
        return ablation.results(seeds, progress), ablation.windows(seeds, progress)


def draw(results: dict[str, TableResult], path: Path) -> None:
    """Draw the change of every row from the first row of its table."""
    heights = [len(rows) for rows in results.values()]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(8, 0.45 * sum(heights) + 1.5), height_ratios=heights
    )
    for axis, (title, rows) in zip(axes, results.items(), strict=True):
        metric = TABLES[title].metric
        names = [name for name, row in rows.items() if row.changes]
        for y, name in enumerate(names):
            change = rows[name].changes[metric]
            seeds, interval = (100 * np.array(values) for values in change)
            axis.plot(interval, (y, y), color='black', linewidth=1.5)
            axis.plot(seeds.mean(), y, '|', color='black', markersize=12)
            axis.plot(seeds, np.full(len(seeds), y), 'o', color='steelblue', alpha=0.7)
        axis.axvline(0, color='grey', linewidth=0.8)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.grid(axis='x', alpha=0.3)
        reference = TABLES[title].reference
        mean = 100 * np.mean(rows[reference].values[metric])
        axis.set_title(f'{reference}: {metric} {mean:.1f} %', fontsize=10)
        axis.set_xlabel(
            f'change of {metric}, percentage points '
            '(dots: seeds; lines: 95 % intervals)'
        )
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def print_tables(tables: dict[str, Table], results: dict[str, TableResult]) -> None:
    """Print the tables, and a note if the full model has not learnt enough."""
    console = table_console()
    for title, table in tables.items():
        console.print(rich_table(table, title))
    ap = np.mean(results[RMPE_TABLE][GT_BOXES_ROW].values['AP'])
    if ap < MIN_AP:
        console.print(
            f'The full model has AP {ap:.3f} on ground-truth boxes. Below {MIN_AP} '
            'the comparison says little about trained networks.'
        )


def main() -> None:
    args = parse_args()
    try:
        ablation = Ablation(args.work_dir, SIZES[args.size], args.jobs)
        results, windows = run(ablation, args.seeds)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from error
    tables = format_tables(results, windows)
    print_tables(tables, results)
    values = {
        title: {
            name: dict(
                row.values,
                recall=row.recall,
                changes={m: c._asdict() for m, c in row.changes.items()},
            )
            for name, row in result.items()
        }
        for title, result in results.items()
    }
    record = dict(
        size=args.size,
        seeds=args.seeds,
        tables=values,
        windows=windows,
        settings=ablation.settings,
    )
    with atomic_write(args.work_dir / 'results.json') as file:
        json.dump(record, file, indent=1)
    with atomic_write(args.work_dir / 'table.md') as file:
        file.write(to_markdown(tables))
    draw(results, args.work_dir / 'ablation.png')
    for name in ('results.json', 'table.md', 'ablation.png'):
        print(args.work_dir / name)


if __name__ == '__main__':
    main()
