# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpose.models.backbones.resnet import Bottleneck
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import resize_bilinear

from .global_net import NORM_CFG


def _bottleneck(
    in_channels: int, out_channels: int, projection: bool, norm_cfg: dict
) -> Bottleneck:
    """Bottleneck of half the width; ``projection`` forces a conv in the shortcut."""
    shortcut = None
    if projection or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            build_norm_layer(norm_cfg, out_channels)[1],
        )
    return Bottleneck(
        in_channels, out_channels, expansion=2, downsample=shortcut, norm_cfg=norm_cfg
    )


@MODELS.register_module()
class RefineNet(BaseModule):
    """Second stage of CPN: heatmaps from all levels together.

    ``num_bottlenecks[i]`` bottlenecks are applied to level i of the pyramid, and the
    result is resized to the finest size. The levels are concatenated; one more
    bottleneck and a conv predict the heatmaps. Paper section 3.2.2. The defaults build
    the network of
    github.com/GengDavid/pytorch-cpn; ``projection=False, resize_grid='tf1'`` that of
    github.com/chenyilun95/tf-cpn.

    Args:
        feat_channels (int): Channels of the pyramid.
        out_channels (int): Number of keypoints K.
        num_bottlenecks (Sequence[int]): Bottlenecks of each level, fine to coarse. If
            it is shorter than the pyramid, only the finest levels are used. The paper's
            ablations have (0, 1, 2, 3), (1, 1, 1, 1) and (0, 0, 0, 0), and fewer levels
            as "C2", "C2-3" and "C2-4". Defaults to (0, 1, 2, 3).
        projection (bool): Whether the shortcut is always a 1x1 conv with a norm
            (pytorch-cpn), or the identity if the channels are equal (tf-cpn). Defaults
            to ``True``.
        resize_grid (str): ``'corners'`` (pytorch-cpn) or ``'tf1'`` (tf-cpn), see
            :func:`rmpe_plugin.ops.resize_bilinear`. Defaults to ``'corners'``.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        init_cfg (dict, optional): Initialisation. Defaults to ``None``: the head's.
    """

    def __init__(
        self,
        feat_channels: int,
        out_channels: int,
        num_bottlenecks: Sequence[int] = (0, 1, 2, 3),
        projection: bool = True,
        resize_grid: str = 'corners',
        norm_cfg: dict = NORM_CFG,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.resize_grid = resize_grid
        self.cascade = nn.ModuleList(
            nn.Sequential(
                *(
                    _bottleneck(feat_channels, feat_channels, projection, norm_cfg)
                    for _ in range(depth)
                )
            )
            for depth in num_bottlenecks
        )
        self.fuse = _bottleneck(
            len(num_bottlenecks) * feat_channels, feat_channels, projection, norm_cfg
        )
        self.conv = nn.Conv2d(feat_channels, out_channels, 3, padding=1, bias=False)
        self.norm = build_norm_layer(norm_cfg, out_channels)[1]

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Predict heatmaps from the pyramid.

        Args:
            pyramid (Sequence[Tensor]): Features of :class:`GlobalNet`, fine to coarse,
                (B, feat_channels, h, w).

        Returns:
            Tensor: Heatmaps (B, K, H, W) at the finest size.
        """
        size = pyramid[0].shape[-2:]
        levels = [
            resize_bilinear(blocks(x), size, self.resize_grid)
            for blocks, x in zip(self.cascade, pyramid, strict=False)
        ]
        # Coarse to fine, the channel order of pytorch-cpn's weights.
        return self.norm(self.conv(self.fuse(torch.cat(levels[::-1], dim=1))))
