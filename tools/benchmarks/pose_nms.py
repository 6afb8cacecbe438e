# SPDX-License-Identifier: Apache-2.0
"""Time parametric pose NMS beside MMPose's oks_nms, and measure its memory.

The people of one image stand at random in 1000 by 1000 pixels, 150 wide; all of them
differ, so that nobody is suppressed and both compare every pair, or each is found
--doubles times.

Example:
    python tools/benchmarks/pose_nms.py --numbers 20 100 300 --images 5000
"""

import argparse
import resource

import numpy as np
import torch
from mmpose.evaluation.functional import oks_nms
from rich.console import Console
from side_by_side import add_device_argument, compare, device_name

from rmpe_plugin.ops import (
    PoseNMSParams,
    parametric_pose_nms,
    parametric_pose_nms_batch,
)

PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--numbers', type=int, nargs='+', default=[20, 100, 300], help='poses an image'
    )
    parser.add_argument(
        '--images', type=int, default=5000, help='images of 20 poses in one call'
    )
    parser.add_argument('--doubles', type=int, default=1, help='times each is found')
    parser.add_argument('--crowd', type=int, default=3000, help='poses to measure by')
    parser.add_argument('--rounds', type=int, default=10)
    add_device_argument(parser)
    return parser.parse_args()


def scene(
    rng: np.random.Generator, number: int, doubles: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (N, 17, 2), scores (N, 17) and boxes (N, 4) of one image."""
    people = -(-number // doubles)
    keypoints = rng.uniform(0, 1000, (people, 1, 2)) + rng.normal(
        0, 40, (people, 17, 2)
    )
    keypoints = np.repeat(keypoints, doubles, axis=0)[:number]
    keypoints += rng.normal(0, 2, keypoints.shape)
    boxes = np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)
    return keypoints, rng.uniform(0.2, 1, keypoints.shape[:2]), boxes


def instances(
    keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> list[dict]:
    """A scene as MMPose's NMS takes it."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return [
        dict(keypoints=np.column_stack((pose, score)), score=score.mean(), area=area)
        for pose, score, area in zip(keypoints, scores, areas, strict=True)
    ]


def main() -> None:
    args = parse_args()
    rng = np.random.default_rng(0)
    where = device_name(args.device)

    def on_device(arrays):
        if args.device == 'cpu':
            return arrays
        return [torch.from_numpy(array).to(args.device) for array in arrays]

    # First, while memory has no peak to hide in.
    poses = on_device(scene(rng, args.crowd, 10))
    for name in PRESETS:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        parametric_pose_nms(*poses, PoseNMSParams.preset(name))
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        line = f'{args.crowd} poses, {name}: peak memory rises by {more / 1024:.0f} MiB'
        if args.device != 'cpu':
            line += (
                f', {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB on the device'
            )
        Console().print(line)

    for number in args.numbers:
        arrays = scene(rng, number, args.doubles)
        people, poses = instances(*arrays), on_device(arrays)
        functions = {'MMPose oks_nms': lambda people=people: oks_nms(people, 0.9)}
        for name in PRESETS:
            params = PoseNMSParams.preset(name)
            functions[name] = lambda p=poses, q=params: parametric_pose_nms(*p, q)
        compare(f'{number} poses, {where}', functions, args.rounds)

    images = [scene(rng, 20, args.doubles) for _ in range(args.images)]
    people = [instances(*arrays) for arrays in images]
    poses = list(zip(*map(on_device, images), strict=True))
    functions = {'MMPose oks_nms': lambda: [oks_nms(p, 0.9) for p in people]}
    for name in PRESETS:
        params = PoseNMSParams.preset(name)
        functions[name] = lambda q=params: parametric_pose_nms_batch(*poses, q)
    compare(f'{args.images} images of 20 poses, {where}', functions, rounds=3)


if __name__ == '__main__':
    main()
