# SPDX-License-Identifier: Apache-2.0
r"""Detect people and write COCO results.

The images are those of a folder, or those that COCO annotations list. With annotations,
the box AP is printed at the end. Finished images are recorded in the resume journal
OUT.journal.jsonl, and the same command continues an interrupted run. Images that cannot
be read are skipped and listed at the end with the reason; the exit status is then 1.

Example:
    rmpe detect \
        configs/quickstart/rtmdet-small_synthetic-160x128.py \
        work_dirs/detector/epoch_2.pth --images data/synthetic_people/val \
        --ann data/synthetic_people/annotations/person_keypoints_val.json \
        --out work_dirs/detector/val_boxes.json
"""

import argparse
import sys
from pathlib import Path

from rich.progress import track
from rich.table import Table

from rmpe_plugin.apis import (
    DetectorSettings,
    ImageDetections,
    detect_dataset,
    list_images,
)
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._model_arguments import add_model_arguments, check_model
from rmpe_plugin.evaluation.functional import person_box_ap
from rmpe_plugin.utils.arguments import at_least, existing_file, existing_folder
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model_arguments(parser, 'detector')
    parser.add_argument(
        '--ann', type=existing_file, help='COCO annotations that list the images'
    )
    parser.add_argument(
        '--images', type=existing_folder,
        help='folder of the images; with --ann, the folder that its file names are '
        'relative to (default: the folder of --ann)',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write')
    parser.add_argument(
        '--score-thr', type=float, default=0.05,
        help='boxes with a lower score are dropped (default: 0.05)',
    )  # fmt: skip
    parser.add_argument(
        '--top-k', type=at_least(1), default=100,
        help='maximum number of boxes per image, best first (default: 100)',
    )  # fmt: skip
    parser.add_argument(
        '--batch', type=at_least(1), default=4, help='images per batch (default: 4)'
    )
    parser.add_argument(
        '--processes',
        type=at_least(1),
        default=1,
        help='number of processes (default: 1)',
    )
    parser.add_argument(
        '--device', nargs='+', default=[],
        help='one or more devices, assigned to the processes in turn (default: cuda if '
        'available, otherwise cpu)',
    )  # fmt: skip
    args = parser.parse_args()
    check_model(parser, args)
    if not (args.ann or args.images):
        parser.error('--ann or --images must be given')
    return args


def detect(args: argparse.Namespace) -> list[ImageDetections]:
    """Detect people in all images, with a progress bar."""
    images = list_images(args.ann, args.images)
    detected = detect_dataset(
        images,
        DetectorSettings(args.config, args.checkpoint, args.score_thr, args.top_k),
        args.out,
        batch_size=args.batch,
        num_processes=args.processes,
        devices=args.device,
    )
    return list(track(detected, 'detecting', total=len(images)))


def print_summary(images: list[ImageDetections], out: Path) -> None:
    """Print the counts, the written file and the skipped images."""
    table = Table('images', 'detected before', 'skipped', 'boxes')
    resumed = sum(image.resumed for image in images)
    skipped = [image for image in images if image.error]
    boxes = sum(len(image.boxes) for image in images)
    table.add_row(*map(str, (len(images), resumed, len(skipped), boxes)))
    table_console().print(table)
    print(out)
    for image in skipped:
        print(f'skipped: {image.name}: {image.error}', file=sys.stderr)


def print_ap(ann: Path, boxes: Path) -> None:
    """Print COCO's box metrics of the category person."""
    try:
        metrics = person_box_ap(ann, boxes)
    except ValueError as error:
        print(f'no AP: {error}')
        return
    table = Table('person boxes', 'value')
    for name, value in metrics.items():
        table.add_row(name, f'{value:.3f}')
    table_console().print(table)
    print(f'person box AP: {metrics["AP"]:.3f}')


@exit_status
def main() -> bool:
    args = parse_args()
    images = detect(args)
    print_summary(images, args.out)
    if args.ann:
        print_ap(args.ann, args.out)
    return any(image.error for image in images)
