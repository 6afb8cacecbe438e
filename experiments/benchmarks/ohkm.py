# SPDX-License-Identifier: Apache-2.0
"""Compare the speed of OHKMMSELoss with MMPose's KeypointOHKMMSELoss.

A forward and a backward pass on random heatmaps are timed.

Example:
    python -m experiments.benchmarks.ohkm --batch 64 --keypoints 17 --size 64 48
"""

import argparse

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from experiments.benchmarks.workloads import loss_steps
from rmpe_plugin.utils.arguments import at_least


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch', type=at_least(1), default=64, help='default: 64')
    parser.add_argument('--keypoints', type=at_least(1), default=17, help='default: 17')
    parser.add_argument(
        '--size', type=at_least(1), nargs=2, default=(64, 48), metavar=('H', 'W'),
        help='heatmap size in pixels (default: 64 48)',
    )  # fmt: skip
    parser.add_argument('--topk', type=at_least(1), default=8, help='default: 8')
    parser.add_argument('--rounds', type=at_least(1), default=10, help='default: 10')
    add_device_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    shape = (args.batch, args.keypoints, *args.size)
    functions = loss_steps(shape, args.topk, args.device)
    title = f'OHKM forward and backward, {shape}, {device_name(args.device)}'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
