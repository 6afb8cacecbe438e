# SPDX-License-Identifier: Apache-2.0
r"""Render the synthetic people, a COCO keypoint data set with simulated detections.

Example:
    python tools/make_synthetic_people.py data/synthetic_people \
        --train 1000 --val 200 --difficulty crowd --seed 0
"""

import argparse
import os
from pathlib import Path

from rich.table import Table

from rmpe_plugin.datasets.synthetic import (
    DIFFICULTIES,
    LAYOUTS,
    NOTICE,
    write_split,
)
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='output folder')
    parser.add_argument(
        '--train',
        type=int,
        default=1000,
        help='number of training images (default: %(default)s)',
    )
    parser.add_argument(
        '--val',
        type=int,
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
        type=int,
        nargs=2,
        default=(320, 240),
        metavar=('W', 'H'),
        help='width and height of the images (default: 320 240)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='the same seed writes the same bytes (default: %(default)s)',
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=os.cpu_count(),
        help='number of processes that render (default: the number of CPU cores)',
    )
    args = parser.parse_args()
    if args.train < 1 or args.val < 1 or args.seed < 0:
        parser.error('--train and --val must be at least 1, --seed at least 0')
    if min(args.size) < 32:
        parser.error('--size must be at least 32 by 32')
    if args.processes < 1:
        parser.error('--processes must be at least 1')
    return args


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


if __name__ == '__main__':
    main()
