# SPDX-License-Identifier: Apache-2.0
"""Time one trial of rmpe tune-nms on one core, by default for 5,000 images.

Example:
    python -m experiments.benchmarks.pose_nms_trial --images 5000 --poses 20
"""

import argparse

import numpy as np
import torch

from experiments.benchmarks.side_by_side import compare
from experiments.benchmarks.workloads import random_split
from rmpe_plugin.fitting.nms_methods import no_nms, parametric_nms
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.utils.arguments import at_least


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=at_least(1), default=5000, help='images')
    parser.add_argument(
        '--poses', type=at_least(1), default=20, help='predictions per image'
    )
    parser.add_argument(
        '--people', type=at_least(1), default=2, help='persons per image'
    )
    parser.add_argument('--rounds', type=at_least(1), default=3, help='timing rounds')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    split = random_split(np.random.default_rng(0), args.images, args.poses, args.people)
    params = PoseNMSParams.preset('rmpe-paper')
    predictions, kept = no_nms(split), parametric_nms(split, params)
    ap = split.score
    functions = {
        'one trial': lambda: ap(parametric_nms(split, params)),
        'its pose NMS': lambda: parametric_nms(split, params),
        f'its AP of {len(kept)} kept poses': lambda: ap(kept),
        f'AP of all {len(predictions)} poses': lambda: ap(predictions),
    }
    title = f'{args.images} images of {args.poses} poses, one thread'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
