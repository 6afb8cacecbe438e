# SPDX-License-Identifier: Apache-2.0
r"""Train variants of the light CPN on photographs, and compare them.

The variants differ in the initialisation, in RefineNet, and in the number M of hard
keypoints. The data are those of experiments/label_photographs.py. The table shows the
PCK at 20 % of the torso on the people held out: the mean over the seeds, and in the
last column each seed. An interrupted run continues with the trainings that are missing
from journal.jsonl in --work-dir. The results are written to results.json.

Example:
    python -m experiments.compare_photographs --epochs 2 --seeds 0 1 \
        --variants 'stage 1' GlobalNet
"""

import argparse

from rich.table import Table

from experiments.comparison import add_arguments, add_seeds, run_comparison
from experiments.photo_variants import (
    PHOTO_VARIANTS,
    photo_variant_config,
    train_photo_variant,
)
from experiments.runs import mean_metrics
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

JOINTS = ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
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
    add_arguments(parser, PHOTO_VARIANTS, 'work_dirs/compare_photographs')
    add_seeds(parser, (0, 1))
    parser.add_argument(
        '--epochs',
        type=at_least(1),
        default=5,
        help='length of a training (default: 5)',
    )
    return parser.parse_args()


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

    def run(variant: str, seed: int) -> dict:
        config = photo_variant_config(
            variant, seed, args.epochs, args.work_dir, args.cfg_options
        )
        return train_photo_variant(config)

    keys = [dict(variant=v, seed=seed) for seed in args.seeds for v in args.variants]
    settings = dict(epochs=args.epochs, cfg_options=args.cfg_options)
    runs = run_comparison(args.work_dir, settings, keys, run)
    table_console().print(build_table(runs, f'{args.epochs} epochs'))
    print(args.work_dir / 'results.json')


if __name__ == '__main__':
    main()
