# SPDX-License-Identifier: Apache-2.0
r"""Train variants of the SSTN on the synthetic people, and compare them.

Every variant continues the same checkpoint for the same number of steps on the same
perturbed boxes: without an SSTN, with an SSTN that only the main loss trains, with the
parallel SPPE, and with a loss on the window. The table shows the AP with the detections
and with perturbed ground-truth boxes, and the IoU of the STN's windows with the
ground-truth windows. An interrupted run continues with the variants that are missing
from journal.jsonl in --work-dir. The results are written to results.json.

Example:
    python -m experiments.compare_sstn work_dirs/quickstart/epoch_3.pth \
        --work-dir work_dirs/compare_sstn
"""

import argparse

from rich.table import Table

from experiments.comparison import add_arguments, run_comparison
from experiments.sstn_variants import (
    SSTN_VARIANTS,
    sstn_variant_config,
    train_sstn_variant,
)
from rmpe_plugin.utils.arguments import existing_file
from rmpe_plugin.utils.files import file_digest
from rmpe_plugin.utils.tables import table_console

COLUMNS = {
    'detections': 'AP, detections',
    'perturbed': 'AP, perturbed boxes',
    'window/iou': 'IoU, windows',
    'window/iou_crop': 'IoU, perturbed crops',
    'window/gain': 'IoU gain',
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('stage1', type=existing_file, help='checkpoint of stage 1')
    add_arguments(parser, SSTN_VARIANTS, 'work_dirs/compare_sstn')
    return parser.parse_args()


def build_table(runs: dict[str, list[dict]], title: str) -> Table:
    """Build the table of all variants."""
    table = Table('stage 2', *COLUMNS.values(), title=title)
    for variant, (metrics,) in runs.items():
        cells = (metrics.get(column) for column in COLUMNS)
        table.add_row(variant, *('' if x is None else f'{x:.3f}' for x in cells))
    return table


def main() -> None:
    args = parse_args()

    def run(variant: str) -> dict:
        config = sstn_variant_config(
            variant, args.stage1, args.work_dir, args.cfg_options
        )
        return train_sstn_variant(config)

    keys = [dict(variant=variant) for variant in args.variants]
    settings = dict(stage1=file_digest(args.stage1), cfg_options=args.cfg_options)
    runs = run_comparison(args.work_dir, settings, keys, run)
    table_console().print(build_table(runs, f'from {args.stage1}'))
    print(args.work_dir / 'results.json')


if __name__ == '__main__':
    main()
