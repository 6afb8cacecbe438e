# SPDX-License-Identifier: Apache-2.0
"""Time a training step of CPN-ResNet-50 and of the same network in plain torch.

The plain network uses torch and torchvision only: no registry, no data samples and no
configurable layers. Both have the same parameters and the same losses.

Example:
    python -m experiments.benchmarks.cpn_step --batch 4 --rounds 5
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.structures import MultilevelPixelData, PoseDataSample
from torch import Tensor, nn
from torchvision.models import resnet50

from experiments.benchmarks.side_by_side import (
    add_device_argument,
    compare,
    device_name,
)
from experiments.benchmarks.workloads import CPN, build
from rmpe_plugin.utils.arguments import at_least


def conv_bn(
    in_channels: int, out_channels: int, kernel: int, relu: bool
) -> nn.Sequential:
    layers = [
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode='bilinear', align_corners=True)


class Bottleneck(nn.Module):
    """Half-width bottleneck with a projected shortcut."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(in_channels, 128, 1, True),
            conv_bn(128, 128, 3, True),
            conv_bn(128, 256, 1, False),
        )
        self.shortcut = conv_bn(in_channels, 256, 1, False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class PlainCPN(nn.Module):
    """CPN-ResNet-50 in plain torch."""

    def __init__(self, num_keypoints: int = 17) -> None:
        super().__init__()
        self.resnet = resnet50(weights=None)
        del self.resnet.fc
        channels = (256, 512, 1024, 2048)
        self.lateral = nn.ModuleList(conv_bn(c, 256, 1, True) for c in channels)
        self.merge = nn.ModuleList(conv_bn(256, 256, 1, False) for _ in range(3))
        self.neck = nn.ModuleList(conv_bn(256, 256, 1, True) for _ in range(4))
        self.predict = nn.ModuleList(
            nn.Conv2d(256, num_keypoints, 3, padding=1, bias=False) for _ in range(4)
        )
        self.norm = nn.ModuleList(nn.BatchNorm2d(num_keypoints) for _ in range(4))
        self.cascade = nn.ModuleList(
            nn.Sequential(*(Bottleneck(256) for _ in range(depth)))
            for depth in range(4)
        )
        self.fuse = Bottleneck(1024)
        self.refine = conv_bn(256, num_keypoints, 3, False)

    def forward(self, x: Tensor) -> list[Tensor]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        feats = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            feats.append(x)
        pyramid = [None] * 4
        pyramid[3] = self.lateral[3](feats[3])
        for i in (2, 1, 0):
            lateral = self.lateral[i](feats[i])
            pyramid[i] = lateral + self.merge[i](
                resize(pyramid[i + 1], lateral.shape[2:])
            )
        size = pyramid[0].shape[2:]
        maps = [
            self.norm[i](resize(self.predict[i](self.neck[i](p)), size))
            for i, p in enumerate(pyramid)
        ]
        levels = [resize(self.cascade[i](p), size) for i, p in enumerate(pyramid)]
        return [*maps, self.refine(self.fuse(torch.cat(levels[::-1], dim=1)))]

    def loss(
        self, image: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> Tensor:
        maps = self(image)
        total = 0.0
        for i in range(4):
            error = F.mse_loss(maps[i], targets[i], reduction='none')
            total = total + 0.5 * (error * weights[i][:, :, None, None]).mean()
        error = F.mse_loss(maps[4], targets[4], reduction='none').mean(dim=(2, 3))
        return total + (error * weights[4]).topk(8, dim=1).values.mean()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch', type=at_least(1), default=4)
    parser.add_argument('--rounds', type=at_least(1), default=5)
    add_device_argument(parser)
    return parser.parse_args()


def copy_parameters(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters layer by layer; in a layer, match them by shape and order."""
    head, state = source.head, source.backbone.state_dict()
    target.resnet.load_state_dict(state)
    pairs = []
    for i in range(4):
        pairs += [
            (head.global_net.laterals[i], target.lateral[i]),
            (head.global_net.predictors[i].neck, target.neck[i]),
            (head.global_net.predictors[i].conv, target.predict[i]),
            (head.global_net.predictors[i].norm, target.norm[i]),
        ]
    pairs += list(zip(head.global_net.merges, target.merge, strict=True))
    pairs += list(zip(head.refine_net.cascade, target.cascade, strict=True))
    pairs.append((head.refine_net.fuse, target.fuse))
    pairs += [
        (head.refine_net.conv, target.refine[0]),
        (head.refine_net.norm, target.refine[1]),
    ]
    with torch.no_grad():
        for source_layer, target_layer in pairs:
            by_shape = {}
            for parameter in source_layer.parameters():
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameter in target_layer.parameters():
                parameter.copy_(by_shape[parameter.shape].pop(0))


def random_batch(
    batch: int, device: str
) -> tuple[Tensor, Tensor, Tensor, list[PoseDataSample]]:
    """Random images, targets and weights, and data samples with these targets."""
    images = torch.randn(batch, 3, 256, 192, device=device)
    targets = torch.rand(5, batch, 17, 64, 48, device=device) * 255
    weights = torch.ones(5, batch, 17, device=device)
    samples = []
    for b in range(batch):
        fields = MultilevelPixelData()
        fields.set_field(list(targets[:, b]), 'heatmaps')
        labels = InstanceData(keypoint_weights=weights[:, b : b + 1])
        samples.append(PoseDataSample(gt_fields=fields, gt_instance_labels=labels))
    return images, targets, weights, samples


def training_step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Make a function that runs a training step and returns the loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    def run():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.detach()

    return run


def main() -> None:
    args = parse_args()
    init_default_scope('mmpose')
    plugin, plain = build(CPN, args.device), PlainCPN().to(args.device)
    copy_parameters(plugin, plain)
    images, targets, weights, samples = random_batch(args.batch, args.device)

    def plugin_loss():
        losses = plugin(images, samples, mode='loss')
        return losses['loss_global'] + losses['loss_refine']

    functions = {
        'plain torch': training_step(
            plain, lambda: plain.loss(images, targets, weights)
        ),
        'rmpe_plugin': training_step(plugin, plugin_loss),
    }
    # Check that both have the same loss before they are timed.
    torch.testing.assert_close(
        *(run() for run in functions.values()), rtol=1e-4, atol=0
    )
    title = f'CPN-ResNet-50 training step, {args.batch} crops of 256x192, '
    compare(title + device_name(args.device), functions, args.rounds)


if __name__ == '__main__':
    main()
