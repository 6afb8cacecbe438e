# SPDX-License-Identifier: Apache-2.0
"""Lift synthetic videos to three dimensions with the quickstart's CPN.

Renders videos, predicts poses frame by frame, writes them in MMPose's format, trains
MMPose's VideoPoseLift on them and tests it on held-out videos. Writes to
data/synthetic_videos and work_dirs/lifting. A run that was interrupted continues where
it stopped.

Example:
    python tools/lifting_example.py
"""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from rmpe_plugin.learning import lifting_example


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='random seed of the training (default: 0)'
    )
    parser.add_argument(
        '--restart', action='store_true', help='run the finished stages again'
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    return lifting_example.run(args.seed, args.restart, Console())


if __name__ == '__main__':
    sys.exit(main())
