# SPDX-License-Identifier: Apache-2.0
"""Time the forward pass and a training step of CPN-ResNet-50 with and without SSTN.

Example:
    python -m experiments.benchmarks.sstn --batch 4 --rounds 10
"""

import argparse

import torch
from mmengine.registry import init_default_scope

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from experiments.benchmarks.workloads import (
    CONFIGS,
    CPN,
    SSTN,
    build,
    forward,
    step,
    target,
)
from rmpe_plugin.utils.arguments import at_least

AUTHORS = (
    CONFIGS / 'rmpe/coco/'
    'td-hm_cpn-res50_rmpe-stage2-stn-res18-8xb32-30e_coco-256x192.py'
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--batch',
        type=at_least(1),
        default=4,
        help='number of crops of 256x192 (default: 4)',
    )
    parser.add_argument('--rounds', type=at_least(1), default=10)
    add_device_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    images = torch.randn(args.batch, 3, 256, 192, device=args.device)
    samples = [target(args.device) for _ in range(args.batch)]
    for sample in samples:
        sample.centred = target(args.device)

    title = f'{args.batch} crops of 256x192, {device_name(args.device)}'
    models = {
        'CPN-ResNet-50': build(CPN, args.device),
        'with SSTN': build(SSTN, args.device, parallel=None),
        "with SSTN, the authors' ResNet-18": build(AUTHORS, args.device, parallel=None),
    }
    functions = {name: forward(model, images) for name, model in models.items()}
    compare(f'forward, {title}', functions, args.rounds)

    del models["with SSTN, the authors' ResNet-18"]
    models['with SSTN and parallel SPPE'] = build(SSTN, args.device)
    functions = {name: step(model, images, samples) for name, model in models.items()}
    compare(f'training step, {title}', functions, args.rounds)


if __name__ == '__main__':
    main()
