# SPDX-License-Identifier: Apache-2.0
r"""Render the synthetic people, a COCO keypoint data set with simulated detections.

Example:
    rmpe synthesize images data/synthetic_people \
        --train 1000 --val 200 --difficulty crowd --seed 0
"""

import argparse
import os
from pathlib import Path

from rich.table import Table

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.synthetic import (
    DIFFICULTIES,
    LAYOUTS,
    NOTICE,
    write_split,
)
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='output folder')
    parser.add_argument(
        '--train',
        type=at_least(1),
        default=1000,
        help='number of training images (default: %(default)s)',
    )
    parser.add_argument(
        '--val',
        type=at_least(1),
        default=200,
        help='number of validation images (default: %(default)s)',
    )
    parser.add_argument(
        '--difficulty',
        choices=tuple(DIFFICULTIES),
        default='crowd',
        help='number, poses and occlusion of the people (default: %(default)s)',
    )
    parser.add_argument(
        '--keypoints',
        choices=tuple(LAYOUTS),
        default='coco',
        help='17 keypoints of COCO or 16 of MPII (default: coco)',
    )
    parser.add_argument(
        '--size',
        type=at_least(32),
        nargs=2,
        default=(320, 240),
        metavar=('W', 'H'),
        help='width and height of the images (default: 320 240)',
    )
    parser.add_argument(
        '--seed',
        type=at_least(0),
        default=0,
        help='the same seed writes the same bytes (default: %(default)s)',
    )
    parser.add_argument(
        '--processes',
        type=at_least(1),
        default=os.cpu_count(),
        help='number of processes that render (default: the number of CPU cores)',
    )
    return parser.parse_args()


@exit_status
def main() -> None:
    args = parse_args()
    table = Table('split', 'images', 'people', 'detections', title=NOTICE)
    for split in ('train', 'val'):
        number = getattr(args, split)
        people, boxes = write_split(
            args.root,
            split,
            number,
            tuple(args.size),
            args.difficulty,
            args.seed,
            args.processes,
            args.keypoints,
        )
        table.add_row(split, str(number), str(people), str(boxes))
    (args.root / 'README.txt').write_text(NOTICE + '\n')
    table_console().print(table)
