# SPDX-License-Identifier: Apache-2.0
"""Time the forward pass and a training step of CPN-ResNet-50 with and without SSTN.

Example:
    python tools/benchmarks/sstn.py --batch 4 --rounds 10
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample
from side_by_side import add_device_argument, compare, device_name
from torch import nn

from rmpe_plugin.models.pose_estimators import SSTNPoseEstimator
from rmpe_plugin.ops import invert_affine

CONFIGS = Path(__file__).parents[2] / 'configs' / 'rmpe' / 'coco'
STAGE1 = CONFIGS / 'td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192.py'
STAGE2 = CONFIGS / 'td-hm_cpn-res50_rmpe-stage2-8xb32-30e_coco-256x192.py'
AUTHORS = CONFIGS / 'td-hm_cpn-res50_rmpe-stage2-stn-res18-8xb32-30e_coco-256x192.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--batch', type=int, default=4, help='number of crops of 256x192 (default: 4)'
    )
    parser.add_argument('--rounds', type=int, default=10)
    add_device_argument(parser)
    return parser.parse_args()


def build(path: Path, device: str, **changes) -> nn.Module:
    """Build the model of a config, with changes and without pretrained weights."""
    config = Config.fromfile(path)
    config.model.update(train_cfg=dict(compute_acc=False), **changes)
    torch.manual_seed(0)
    model = MODELS.build(config.model).to(device)
    if getattr(model, 'parallel_cfg', None) is not None:
        model.init_parallel_sppe()
    return model


def target(device: str) -> PoseDataSample:
    """Make a sample with random targets of five levels."""
    fields = MultilevelPixelData()
    fields.set_field(list(torch.rand(5, 17, 64, 48, device=device) * 255), 'heatmaps')
    labels = InstanceData(keypoint_weights=torch.ones(5, 1, 17, device=device))
    return PoseDataSample(gt_fields=fields, gt_instance_labels=labels)


def forward(
    model: nn.Module, images: torch.Tensor, *stage: str
) -> Callable[[], object]:
    """Make a function that predicts heatmaps; ``stage`` is for a CPN only."""
    model.eval()

    @torch.inference_mode()
    def run():
        if not isinstance(model, SSTNPoseEstimator):
            return model.head.forward(model.extract_feat(images), *stage)
        warped, theta = model.transform(images)
        heatmaps = model.head.forward(model.extract_feat(warped), *stage)
        return model.sdtn(heatmaps, invert_affine(theta))

    return run


def step(model: nn.Module, images: torch.Tensor, samples: list) -> Callable:
    """Make a function that runs a training step."""
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4)

    def run():
        optimizer.zero_grad()
        losses = model(images, samples, mode='loss')
        sum(loss for name, loss in losses.items() if 'loss' in name).backward()
        optimizer.step()

    return run


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    images = torch.randn(args.batch, 3, 256, 192, device=args.device)
    samples = [target(args.device) for _ in range(args.batch)]
    for sample in samples:
        sample.centred = target(args.device)

    title = f'{args.batch} crops of 256x192, {device_name(args.device)}'
    models = {
        'CPN-ResNet-50': build(STAGE1, args.device),
        'with SSTN': build(STAGE2, args.device, parallel=None),
        "with SSTN, the authors' ResNet-18": build(AUTHORS, args.device, parallel=None),
    }
    functions = {
        name: forward(model, images, 'refine') for name, model in models.items()
    }
    compare(f'forward, {title}', functions, args.rounds)

    del models["with SSTN, the authors' ResNet-18"]
    models['with SSTN and parallel SPPE'] = build(STAGE2, args.device)
    functions = {name: step(model, images, samples) for name, model in models.items()}
    compare(f'training step, {title}', functions, args.rounds)


if __name__ == '__main__':
    main()
