# SPDX-License-Identifier: Apache-2.0
"""Compare the two implementations of crops on the CPU: OpenCV and grid_sample.

Example:
    python -m experiments.benchmarks.crops
"""

import argparse
from functools import partial

import numpy as np
import torch

from experiments.benchmarks.side_by_side import compare
from rmpe_plugin.inference.people_cropper import DeviceCrops, HostCrops
from rmpe_plugin.ops import crop_matrices
from rmpe_plugin.utils.arguments import at_least

SIZES = ((96, 128), (192, 256))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--people', type=at_least(1), default=20, help='default: 20')
    parser.add_argument('--rounds', type=at_least(1), default=10, help='default: 10')
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)]
    corner = rng.uniform(0, 200, (args.people, 2))
    boxes = np.hstack((corner, corner + rng.uniform(80, 280, (args.people, 2))))
    index = np.zeros(args.people, int)
    for size in SIZES:
        matrices = crop_matrices(boxes, size)
        sources = {
            'OpenCV': HostCrops(images, size, True, [args.people]),
            'grid_sample': DeviceCrops(images, size, True, torch.device('cpu')),
        }
        functions = {
            name: partial(source.crop, index, matrices)
            for name, source in sources.items()
        }
        title = f'{args.people} crops of {size[1]}x{size[0]}'
        compare(title, functions, args.rounds)


if __name__ == '__main__':
    main()
