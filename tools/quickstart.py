# SPDX-License-Identifier: Apache-2.0
"""Train a small CPN and a small person detector on synthetic people, test and draw.

Writes to data/synthetic_people, work_dirs/quickstart and work_dirs/detector. A run that
was interrupted continues where it stopped.

Example:
    bash tools/quickstart.sh
"""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from rmpe_plugin.learning import quickstart


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='random seed of the trainings (default: 0)'
    )
    parser.add_argument(
        '--restart', action='store_true', help='run the finished stages again'
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    return quickstart.run(args.seed, args.restart, Console())


if __name__ == '__main__':
    sys.exit(main())
