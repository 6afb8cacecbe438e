# SPDX-License-Identifier: Apache-2.0
"""Compare light pose estimators: parameters, multiply-adds and people per second.

CPN on the backbones of TimmPyramid, CPN-ResNet-18, SimpleBaseline-ResNet-18 and
RTMPose, with random weights and without flip test. The time is that of the network from
crops to heatmaps. As in RMPEInferencer, crops are channels-last and batch normalisation
is fused.

Example:
    python -m experiments.benchmarks.backbones --batch 8 --rounds 5
"""

import argparse
from pathlib import Path
from statistics import median

import torch
from mmengine.registry import init_default_scope
from rich.table import Table

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    device_name,
    measure,
)
from experiments.benchmarks.workloads import (
    CONFIGS,
    MMPOSE,
    SIMPLE_BASELINE,
    build,
    forward,
    gmacs,
)
from rmpe_plugin.inference import fuse_conv_norms
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console

COCO = CONFIGS / 'cpn/coco'
RTMPOSE = MMPOSE / 'body_2d_keypoint/rtmpose/coco'
CPN_NAMES = {
    'CPN, EfficientNet-Lite0': 'efficientnet-lite0',
    'CPN, EfficientNet-Lite2': 'efficientnet-lite2',
    'CPN, ConvNeXt-T': 'convnext-tiny',
    'CPN, ResNet-18': 'res18',
}
RESNET18 = {'backbone.depth': 18, 'head.in_channels': 512}
# Config and changes of its model, by name.
MODEL_CONFIGS: dict[str, tuple[Path, dict]] = {
    **{
        name: (COCO / f'td-hm_cpn-{backbone}_8xb32-160e_coco-256x192.py', {})
        for name, backbone in CPN_NAMES.items()
    },
    'SimpleBaseline, ResNet-18': (SIMPLE_BASELINE, RESNET18),
    'RTMPose-t': (RTMPOSE / 'rtmpose-t_8xb256-420e_aic-coco-256x192.py', {}),
    'RTMPose-s': (RTMPOSE / 'rtmpose-s_8xb256-420e_coco-256x192.py', {}),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch', type=at_least(1), default=8, help='default: 8')
    parser.add_argument('--rounds', type=at_least(1), default=5, help='default: 5')
    add_device_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    models = {
        name: build(path, args.device, **changes).eval()
        for name, (path, changes) in MODEL_CONFIGS.items()
    }
    sizes = {
        name: (
            sum(p.numel() for p in model.parameters()) / 1e6,
            gmacs(model),
        )
        for name, model in models.items()
    }
    images = torch.randn(args.batch, 3, 256, 192, device=args.device)
    images = images.contiguous(memory_format=torch.channels_last)
    times = measure(
        {
            name: forward(fuse_conv_norms(model), images)
            for name, model in models.items()
        },
        args.rounds,
    )
    table = Table(
        'model', 'parameters, M', 'GMACs', 'people/s',
        title=f'{args.batch} crops of 256x192, {device_name(args.device)}',
    )  # fmt: skip
    for name, (parameters, macs) in sizes.items():
        rate = args.batch / median(times[name]) * 1e3
        table.add_row(name, f'{parameters:.1f}', f'{macs:.2f}', f'{rate:.1f}')
    table_console().print(table)


if __name__ == '__main__':
    main()
