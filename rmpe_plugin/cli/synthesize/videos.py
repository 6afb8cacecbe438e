# SPDX-License-Identifier: Apache-2.0
r"""Render synthetic videos of one body each, or of groups of people.

Videos of one body have joints in three dimensions and are written in the folders and
formats of MMPose's Human3.6M. Videos of groups have COCO annotations with the ids of
videos, frames and people.

Example:
    rmpe synthesize videos data/synthetic_videos --train 40 --test 8
    rmpe synthesize videos data/synthetic_groups --train 8 --test 8 --people 2-8
"""

import argparse
import re
from pathlib import Path

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.synthetic import NOTICE, write_group_videos, write_videos
from rmpe_plugin.utils.arguments import at_least


def number_or_range(text: str) -> tuple[int, int]:
    """Parse a number of people, or a range.

    Args:
        text (str): Such as ``'3'`` or ``'2-8'``.

    Returns:
        tuple[int, int]: Minimum and maximum.

    Raises:
        argparse.ArgumentTypeError: If the text is neither, the number is below 1, or
            the minimum is above the maximum.
    """
    match = re.fullmatch(r'(\d+)(?:-(\d+))?', text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise argparse.ArgumentTypeError(
            f'must be a number of at least 1 or a range such as 2-8, got {text!r}'
        )
    return low, high


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='output folder')
    parser.add_argument(
        '--train',
        type=at_least(1),
        default=40,
        help='videos for training (default: 40)',
    )
    parser.add_argument(
        '--test', type=at_least(1), default=8, help='videos for the test (default: 8)'
    )
    parser.add_argument(
        '--frames',
        type=at_least(1),
        default=150,
        help='frames of a video (default: 150)',
    )
    parser.add_argument(
        '--people',
        type=number_or_range,
        default=(1, 1),
        metavar='N[-M]',
        help='people in a video, such as 2-8 for groups (default: 1)',
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='default: 0')
    return parser.parse_args()


@exit_status
def main() -> None:
    args = parse_args()
    splits = dict(train=args.train, test=args.test)
    if args.people == (1, 1):
        videos = write_videos(args.root, splits, args.frames, seed=args.seed)
    else:
        videos = write_group_videos(
            args.root, splits, args.people, args.frames, seed=args.seed
        )
    (args.root / 'README.txt').write_text(NOTICE + '\n')
    print(f'{len(videos)} videos in {videos[0].parent}')
