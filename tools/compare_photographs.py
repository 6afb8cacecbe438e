# SPDX-License-Identifier: Apache-2.0
r"""Train variants of the light CPN on photographs of LSP-Extended, and compare them.

The variants differ in the initialisation of the backbone, in RefineNet, and in the
number M of hard keypoints. The data are those of
tools/dataset_converters/lsp_to_coco.py. The table shows the PCK at 20 % of the torso on
the people held out: the mean over the seeds, and in the last column each seed. An
interrupted run continues with the trainings that are missing from journal.jsonl in
--work-dir. The results are written to results.json.

Example:
    python tools/compare_photographs.py --epochs 2 --seeds 0 1 \
        --variants "RefineNet, L2" "random initialisation"
"""

import argparse
import json
from functools import partial
from pathlib import Path

from mmengine.config import DictAction
from rich.progress import track
from rich.table import Table

from rmpe_plugin.learning.experiments import mean_metrics, run_missing
from rmpe_plugin.learning.photo_variants import (
    PHOTO_VARIANTS,
    photo_variant_config,
    train_photo_variant,
)
from rmpe_plugin.utils.files import ResumeJournal, atomic_write
from rmpe_plugin.utils.tables import table_console

JOINTS = ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder', 'neck', 'head_top')
COLUMNS = {
    **{joint: f'torso/{joint}' for joint in JOINTS},
    'PCK@0.2': 'torso/PCK',
    'AP': 'coco/AP',
    'AP50': 'coco/AP .5',
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--variants',
        nargs='+',
        choices=tuple(PHOTO_VARIANTS),
        default=tuple(PHOTO_VARIANTS),
        help='variants to train (default: all)',
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0, 1], help='default: 0 1'
    )
    parser.add_argument(
        '--epochs', type=int, default=5, help='length of a training (default: 5)'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/compare_photographs')
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='changes of the config, as in tools/train.py',
    )
    return parser.parse_args()


def open_journal(args: argparse.Namespace) -> ResumeJournal:
    """Open the resume journal of these arguments."""
    settings = dict(epochs=args.epochs, cfg_options=args.cfg_options)
    try:
        return ResumeJournal(args.work_dir / 'journal.jsonl', settings)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def build_table(runs: dict[str, list[dict]], title: str) -> Table:
    """Build the table of all variants."""
    table = Table('variant', *COLUMNS, 'PCK of each seed', title=title)
    for variant, metrics in runs.items():
        mean = mean_metrics(metrics)
        cells = [f'{mean[name]:.3f}' for name in COLUMNS.values()]
        seeds = ', '.join(f'{run["torso/PCK"]:.3f}' for run in metrics)
        table.add_row(variant, *cells, seeds)
    return table


def main() -> None:
    args = parse_args()
    journal = open_journal(args)

    def run(variant: str, seed: int) -> dict:
        config = photo_variant_config(
            variant, seed, args.epochs, args.work_dir, args.cfg_options
        )
        return train_photo_variant(config)

    keys = [dict(variant=v, seed=seed) for seed in args.seeds for v in args.variants]
    results = run_missing(journal, keys, run, partial(track, description='trainings'))

    runs: dict[str, list[dict]] = {variant: [] for variant in args.variants}
    for key, metrics in zip(keys, results, strict=True):
        runs[key['variant']].append(metrics)
    path = args.work_dir / 'results.json'
    with atomic_write(path) as file:
        json.dump(runs, file, indent=1)
    table_console().print(build_table(runs, f'{args.epochs} epochs'))
    print(path)


if __name__ == '__main__':
    main()
