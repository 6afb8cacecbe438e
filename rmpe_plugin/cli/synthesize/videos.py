# SPDX-License-Identifier: Apache-2.0
r"""Render synthetic videos of one body each, with joints in three dimensions.

Writes videos and annotations in the folders and formats of MMPose's Human3.6M.

Example:
    rmpe synthesize videos data/synthetic_videos --train 40 --test 8
"""

import argparse
from pathlib import Path

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.datasets.synthetic import NOTICE, write_videos
from rmpe_plugin.utils.arguments import at_least


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
    parser.add_argument('--seed', type=at_least(0), default=0, help='default: 0')
    return parser.parse_args()


@exit_status
def main() -> None:
    args = parse_args()
    splits = dict(train=args.train, test=args.test)
    videos = write_videos(args.root, splits, args.frames, seed=args.seed)
    (args.root / 'README.txt').write_text(NOTICE + '\n')
    print(f'{len(videos)} videos in {videos[0].parent}')
