# SPDX-License-Identifier: Apache-2.0
"""Compare the speed of OHKMMSELoss with MMPose's KeypointOHKMMSELoss.

A forward and a backward pass on random heatmaps are timed.

Example:
    python tools/benchmarks/ohkm.py --batch 64 --keypoints 17 --size 64 48
"""

import argparse
from collections.abc import Callable

import torch
from mmpose.models.losses import KeypointOHKMMSELoss
from side_by_side import add_device_argument, compare, device_name

from rmpe_plugin.models.losses import OHKMMSELoss


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch', type=int, default=64, help='default: 64')
    parser.add_argument('--keypoints', type=int, default=17, help='default: 17')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(64, 48), metavar=('H', 'W'),
        help='heatmap size in pixels (default: 64 48)',
    )  # fmt: skip
    parser.add_argument('--topk', type=int, default=8, help='default: 8')
    parser.add_argument('--rounds', type=int, default=10, help='default: 10')
    add_device_argument(parser)
    return parser.parse_args()


def loss_steps(
    shape: tuple[int, int, int, int], topk: int, device: str
) -> dict[str, Callable[[], object]]:
    """Forward and backward pass of both losses on the same heatmaps, by name."""
    torch.manual_seed(0)
    pred = torch.randn(shape, device=device, requires_grad=True)
    target = torch.randn(shape, device=device)
    weights = (torch.rand(shape[:2], device=device) > 0.3).float()

    def step(cls):
        loss = cls(use_target_weight=True, topk=topk)

        def run():
            pred.grad = None
            value = loss(pred, target, weights)
            value.backward()
            return value.detach()

        return run

    functions = {cls.__name__: step(cls) for cls in (KeypointOHKMMSELoss, OHKMMSELoss)}
    torch.testing.assert_close(*(run() for run in functions.values()))
    return functions


def main() -> None:
    args = parse_args()
    shape = (args.batch, args.keypoints, *args.size)
    functions = loss_steps(shape, args.topk, args.device)
    title = f'OHKM forward and backward, {shape}, {device_name(args.device)}'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
