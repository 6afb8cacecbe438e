# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.utils.typing import OptConfigType
from torch import Tensor, nn
from torch.nn.functional import interpolate


@MODELS.register_module()
class SeparableFPN(BaseModule):
    """Feature pyramid of separable convolutions, as in MoveNet.

    Coarse levels are resized and added to fine ones. The output has the features of
    the backbone too, such that a head can learn from both.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's levels, fine to coarse;
            each level has half the size of the one before.
        channels (Sequence[int]): Channels of the pyramid's levels. Defaults to
            (24, 24, 32, 64), those of MoveNet.
        top_channels (int): Channels of the layer before the coarsest level. Defaults to
            1280, that of MobileNetV2's last layer.
        frozen (bool): Whether its weights are not trained. Defaults to ``False``.
        init_cfg (dict, optional): Initialisation. Defaults to ``None``.

    Source: MoveNet, https://www.tensorflow.org/hub/tutorials/movenet, and the weights
    of its Thunder version.

    Raises:
        ValueError: If ``in_channels`` and ``channels`` have different lengths.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: Sequence[int] = (24, 24, 32, 64),
        top_channels: int = 1280,
        frozen: bool = False,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != len(channels):
            raise ValueError(
                f'neck.in_channels {tuple(in_channels)} and neck.channels '
                f'{tuple(channels)} must have the same length'
            )
        self.top = nn.Sequential(
            nn.Conv2d(in_channels[-1], top_channels, 1),
            nn.ReLU6(inplace=True),
            nn.Conv2d(top_channels, channels[-1], 1),
        )
        self.laterals = nn.ModuleList(
            nn.Conv2d(i, c, 1)
            for i, c in zip(in_channels[:-1], channels[1:], strict=True)
        )
        self.smooths = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
                nn.Conv2d(wide, narrow, 1),
                nn.ReLU(inplace=True),
            )
            for narrow, wide in zip(channels[:-1], channels[1:], strict=True)
        )

        self.requires_grad_(not frozen)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Add coarse levels to fine ones.

        Args:
            feats (Sequence[Tensor]): Features of the backbone, fine to coarse,
                (B, C_i, h, w).

        Returns:
            tuple[Tensor, ...]: The same with the pyramid's channels appended,
            (B, C_i + c_i, h, w).
        """
        level = self.top(feats[-1])
        pyramid = [level]
        for x, lateral, smooth in zip(
            feats[-2::-1], self.laterals[::-1], self.smooths[::-1], strict=True
        ):
            level = interpolate(level, size=x.shape[2:], mode='bilinear')
            level = smooth(level + lateral(x))
            pyramid.append(level)
        return tuple(
            torch.cat(pair, dim=1) for pair in zip(feats, pyramid[::-1], strict=True)
        )
