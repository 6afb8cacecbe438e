# SPDX-License-Identifier: Apache-2.0
"""Compare the speed of CPNHeatmap with MMPose's MegviiHeatmap.

Both encode the same targets.

Example:
    python -m experiments.benchmarks.codec --batch 64
"""

import argparse

import numpy as np
import torch
from mmpose.codecs import MegviiHeatmap

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from rmpe_plugin.codecs import CPNHeatmap
from rmpe_plugin.utils.arguments import at_least

SIZES = dict(input_size=(192, 256), heatmap_size=(48, 64))
KERNELS = (7, 9, 11, 15, 7)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--batch', type=at_least(1), default=64, help='people to decode (default: 64)'
    )
    parser.add_argument('--rounds', type=at_least(1), default=10, help='default: 10')
    add_device_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(40, 150, (1, 17, 2))
    visible = np.ones((1, 17), dtype=np.float32)
    codecs = {
        cls.__name__: [cls(**SIZES, kernel_size=k) for k in KERNELS]
        for cls in (MegviiHeatmap, CPNHeatmap)
    }

    def encoder(levels):
        return lambda: [codec.encode(keypoints, visible) for codec in levels]

    functions = {name: encoder(levels) for name, levels in codecs.items()}
    targets = [run()[-1]['heatmaps'] for run in functions.values()]
    np.testing.assert_allclose(*targets, atol=1e-3)
    title = f'encoding one person, {len(KERNELS)} levels at 256x192, CPU'
    compare(title, functions, args.rounds)

    noise = torch.randn(args.batch, 17, 64, 48, device=args.device)
    maps = torch.from_numpy(targets[0]).to(args.device) + 5 * noise
    megvii, cpn = (levels[-1] for levels in codecs.values())
    functions = {
        'MegviiHeatmap': lambda: [megvii.decode(m) for m in maps.cpu().numpy()],
        'CPNHeatmap': lambda: cpn.batch_decode(maps),
    }
    title = f'decoding {args.batch} people at 256x192, {device_name(args.device)}'
    compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
