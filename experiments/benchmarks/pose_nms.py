# SPDX-License-Identifier: Apache-2.0
"""Compare the time of parametric pose NMS with MMPose's oks_nms; measure its memory.

Each image has persons of about 150 pixels at random positions in 1000 x 1000 pixels. By
default all poses differ, so that no pose is suppressed and oks_nms compares every pair.
With --duplicates, each person is predicted several times. With --busy, other processes
occupy the cores: a loop in Python, and products of matrices with two threads of torch.

Example:
    python -m experiments.benchmarks.pose_nms --numbers 3 20 100 --images 5000 --busy
"""

import argparse
import resource
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from mmpose.evaluation.functional import oks_nms

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from experiments.benchmarks.workloads import busy_cores, instances, scene
from rmpe_plugin.ops import (
    PoseNMSParams,
    parametric_pose_nms,
    parametric_pose_nms_batch,
)
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--numbers',
        type=at_least(1),
        nargs='+',
        default=[1, 2, 3, 5, 10, 20, 50, 100, 300],
        help='poses per image',
    )
    parser.add_argument(
        '--images',
        type=at_least(1),
        default=5000,
        help='images per call, with 20 poses each',
    )
    parser.add_argument(
        '--duplicates',
        metavar='N',
        type=at_least(1),
        default=1,
        help='predictions per person (default: 1, no duplicates)',
    )
    parser.add_argument(
        '--crowd',
        type=at_least(1),
        default=3000,
        help='poses for the memory measurement',
    )
    parser.add_argument('--rounds', type=at_least(1), default=10, help='timing rounds')
    parser.add_argument(
        '--busy', action='store_true', help='other processes occupy the cores'
    )
    add_device_argument(parser)
    return parser.parse_args()


def print_peak_memory(number: int, to_device: Callable) -> None:
    """Print by how much pose NMS of one crowded image raises the peak memory."""
    poses = to_device(scene(np.random.default_rng(0), number, 10))
    for name in PRESETS:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        parametric_pose_nms(*poses, PoseNMSParams.preset(name))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        table_console().print(
            f'{number} poses, {name}: peak memory increases by {peak / 1024:.0f} MiB'
        )


def nms_functions(nms: Callable, poses: list) -> dict[str, Callable[[], object]]:
    """Pose NMS of the same poses with each preset."""
    return {name: partial(nms, *poses, PoseNMSParams.preset(name)) for name in PRESETS}


def main() -> None:
    args = parse_args()
    with busy_cores(args.busy):
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Print the memory of one crowded image and the times of all sizes."""
    rng = np.random.default_rng(0)
    device = device_name(args.device)

    def to_device(arrays):
        if args.device == 'cpu':
            return arrays
        return [torch.from_numpy(array).to(args.device) for array in arrays]

    # Measured first: later, the peak memory of the process would hide the increase.
    print_peak_memory(args.crowd, to_device)

    for number in args.numbers:
        arrays = scene(rng, number, args.duplicates)
        persons = instances(*arrays)
        functions = {
            'MMPose oks_nms': lambda persons=persons: oks_nms(persons, 0.9),
            **nms_functions(parametric_pose_nms, to_device(arrays)),
        }
        compare(f'{number} poses, {device}', functions, args.rounds)

    images = [scene(rng, 20, args.duplicates) for _ in range(args.images)]
    persons = [instances(*arrays) for arrays in images]
    poses = list(zip(*map(to_device, images), strict=True))
    functions = {
        'MMPose oks_nms': lambda: [oks_nms(image, 0.9) for image in persons],
        **nms_functions(parametric_pose_nms_batch, poses),
    }
    compare(f'{args.images} images of 20 poses, {device}', functions, rounds=3)


if __name__ == '__main__':
    main()
