# SPDX-License-Identifier: Apache-2.0
"""Annotations and detections that commands match, with their arguments and counts."""

import argparse
from functools import partial

from rich.progress import track
from rich.table import Table

from rmpe_plugin.fitting.matching import (
    Counts,
    Pair,
    match_detections,
    read_matching_inputs,
)
from rmpe_plugin.utils.arguments import existing_file, share


def add_matching_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files, the thresholds and the description of the keypoints.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
    """
    parser.add_argument(
        '--ann', type=existing_file, required=True, help='COCO annotations'
    )
    parser.add_argument(
        '--det', type=existing_file, required=True, help='COCO results (boxes)'
    )
    parser.add_argument(
        '--iou-thr', type=share, default=0.5,
        help='minimum IoU of a person and a detection (default: 0.5)',
    )  # fmt: skip
    parser.add_argument(
        '--score-thr', type=float, default=0.05,
        help='minimum score of a detection (default: 0.05)',
    )  # fmt: skip
    parser.add_argument(
        '--metainfo',
        help="MMPose's file that describes the keypoints (default: the categories of "
        "--ann, or COCO's keypoints if they name none)",
    )


def match_files(
    args: argparse.Namespace, num_keypoints: int
) -> tuple[list[Pair], Counts, list[dict]]:
    """Match the people and detections of the files, with a progress bar.

    Args:
        args (argparse.Namespace): See :func:`add_matching_arguments`.
        num_keypoints (int): K.

    Returns:
        tuple[list[tuple[dict, dict]], dict[str, Counter], list[dict]]: Pairs and counts
        of :func:`rmpe_plugin.fitting.matching.match_detections`, and the image records.
    """
    annotations, detections = read_matching_inputs(args.ann, args.det, num_keypoints)
    bar = partial(track, description='matching')
    matched = match_detections(
        annotations, detections, args.iou_thr, args.score_thr, bar
    )
    return *matched, annotations['images']


def build_counts_table(counts: Counts) -> Table:
    """Build the table of matched, unmatched and ignored records."""
    table = Table('records', 'outcome', 'number', 'share')
    for kind, outcomes in counts.items():
        for outcome, number in outcomes.most_common():
            if number:
                share = number / outcomes.total()
                table.add_row(kind, outcome, str(number), f'{share:.1%}')
    return table
