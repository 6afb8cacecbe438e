# SPDX-License-Identifier: Apache-2.0
"""Repeat the ablations of RMPE and CPN on a synthetic crowd.

Draws the crowd, fits PGPG to its detections, trains a small CPN for every row of the
tables, learns pose NMS on images that are used for nothing else, and tests on the
detections of the validation images. Every training writes its config to its work
directory, so that it can be inspected or run again.

An interrupted run continues with the jobs that are missing from journal.jsonl in
--work-dir. The results are written to results.json, table.md and ablation.png.

Example:
    python tools/ablation.py --size cpu --work-dir work_dirs/ablation
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from rmpe_plugin.learning.ablation import (
    HEADINGS,
    SIZES,
    Ablation,
    table_lines,
    to_markdown,
)
from rmpe_plugin.utils.files import atomic_write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size',
        choices=tuple(SIZES),
        default='cpu',
        help='cpu: about two hours on two cores; gpu: for a CUDA device and 16 cores; '
        'tiny: only to try the script (default: cpu)',
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablation'))
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 1],
        help='random seeds (default: 0 1)',
    )
    parser.add_argument(
        '--jobs', type=int, help='trainings in parallel (default: depends on --size)'
    )
    args = parser.parse_args()
    if args.jobs is not None and args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        parser.error(f'--seeds must be different and not negative, got {args.seeds}')
    if args.size == 'gpu' and not torch.cuda.is_available():
        parser.error('--size gpu needs a CUDA device, but torch finds none')
    return args


def run(args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Run what is missing; AP per seed of every table and row."""
    try:
        ablation = Ablation(args.work_dir, SIZES[args.size], args.jobs)
        ablation.prepare()
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress('{task.description}', *columns, refresh_per_second=1) as progress:
            ablation.run(args.seeds, progress)
            return ablation.results(args.seeds, progress)
    except (RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from error


def draw(results: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the change of AP of every row against the first row of its table."""
    heights = [len(rows) for rows in results.values()]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(8, 0.4 * sum(heights) + 1.5), height_ratios=heights
    )
    for axis, (title, rows) in zip(axes, results.items(), strict=True):
        reference = np.array(next(iter(rows.values())))
        for y, aps in enumerate(rows.values()):
            change = np.array(aps) - reference
            axis.plot(change, np.full(len(change), y), 'o', color='steelblue')
            axis.plot(change.mean(), y, '|', color='black', markersize=16)
        axis.axvline(0, color='grey', linewidth=0.8)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(axis='x', alpha=0.3)
        axis.set_title(f'{title}: first row AP {reference.mean():.3f}', fontsize=10)
    axes[-1].set_xlabel('change of AP (dots: seeds, lines: means)')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    args = parse_args()
    results = run(args)
    console = Console()
    for title, lines in table_lines(results):
        table = Table(*HEADINGS, title=title)
        for line in lines:
            table.add_row(*line)
        console.print(table)

    size = asdict(SIZES[args.size])
    record = dict(size=args.size, **size, seeds=args.seeds, AP=results)
    with atomic_write(args.work_dir / 'results.json') as file:
        json.dump(record, file, indent=1)
    with atomic_write(args.work_dir / 'table.md') as file:
        file.write(to_markdown(results))
    draw(results, args.work_dir / 'ablation.png')
    for name in ('results.json', 'table.md', 'ablation.png'):
        print(args.work_dir / name)


if __name__ == '__main__':
    main()
