# SPDX-License-Identifier: Apache-2.0
r"""Train the quickstart's CPN on differently perturbed boxes, test it on detections.

The variants differ in the training boxes; network, initial weights and number of steps
are the same: ground-truth boxes, MMPose's RandomBBoxTransform, proposals of AlphaPose's
constants, and proposals of a fitted model, with and without its atomic poses. The table
shows the AP with the detections and with ground-truth boxes. An interrupted run
continues with the training runs that are missing from journal.jsonl in --work-dir. The
results are written to results.json and results.png.

Example:
    python -m experiments.compare_proposals --data data/synthetic_crowd \
        --model work_dirs/pgpg/model.json --work-dir work_dirs/compare_proposals
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from rich.table import Table

from experiments.box_variants import (
    BOX_VARIANTS,
    box_variant_config,
    train_box_variant,
    write_models,
)
from experiments.comparison import add_arguments, add_seeds, run_comparison
from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.utils.arguments import existing_file, existing_folder
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # argparse also checks a default that is a string.
    parser.add_argument(
        '--data',
        type=existing_folder,
        default='data/synthetic_crowd',
        help='synthetic people (default: %(default)s)',
    )
    parser.add_argument(
        '--model',
        type=existing_file,
        default='work_dirs/pgpg/model.json',
        help='model that rmpe fit-pgpg fitted to the training detections',
    )
    add_arguments(parser, BOX_VARIANTS, 'work_dirs/compare_proposals')
    add_seeds(parser, (0, 1))
    return parser.parse_args()


def build_table(results: dict[str, list[dict]], seeds: list[int]) -> Table:
    """Build the table of all variants."""
    columns = [f'seed {seed}' for seed in seeds]
    table = Table(
        'training boxes', 'AP, detections', *columns, 'AP, ground-truth boxes', *columns
    )
    for variant, runs in results.items():
        cells = []
        for boxes in ('detections', 'ground-truth boxes'):
            aps = [metrics[boxes] for metrics in runs]
            cells += [np.mean(aps), *aps]
        table.add_row(variant, *(f'{ap:.4f}' for ap in cells))
    return table


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Draw the AP with the detections of every variant."""
    figure, axis = plt.subplots(figsize=(7, 0.5 * len(results) + 1))
    for row, runs in enumerate(results.values()):
        aps = [metrics['detections'] for metrics in runs]
        axis.plot(aps, np.full(len(aps), row), 'o', color='steelblue')
        axis.plot(np.mean(aps), row, '|', color='black', markersize=20)
    axis.set_yticks(range(len(results)), list(results))
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.grid(axis='x', alpha=0.3)
    axis.set_xlabel('AP with the detections (dots: seeds, lines: means)')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    args = parse_args()
    try:
        model = ProposalModel.from_json(args.model)
    except ValueError as error:
        raise SystemExit(str(error)) from error

    def run(variant: str, seed: int) -> dict:
        # not before the settings of the folder have been compared
        write_models(model, args.work_dir)
        config = box_variant_config(
            variant, seed, args.data, args.work_dir, args.cfg_options
        )
        return train_box_variant(config)

    keys = [dict(variant=v, seed=seed) for seed in args.seeds for v in args.variants]
    settings = dict(
        data=str(args.data),
        model=json.loads(args.model.read_text()),
        cfg_options=args.cfg_options,
    )
    runs = run_comparison(args.work_dir, settings, keys, run)
    table_console().print(build_table(runs, args.seeds))
    path = args.work_dir / 'results.json'
    draw(runs, path.with_suffix('.png'))
    print(path)
    print(path.with_suffix('.png'))


if __name__ == '__main__':
    main()
