# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import resize_bilinear

NORM_CFG = dict(type='BN')


class HeatmapPredictor(BaseModule):
    """Prediction layers of one level: 1x1 conv, 3x3 conv, resize, norm.

    Args:
        in_channels (int): Channels of the merged feature map.
        out_channels (int): Number of keypoints K.
        norm_first (bool): Whether the norm of the heatmaps is before the resize.
        resize_grid (str): See :func:`rmpe_plugin.ops.resize_bilinear`.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_first: bool,
        resize_grid: str,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.resize_grid = resize_grid
        self.neck = ConvModule(in_channels, in_channels, 1, norm_cfg=norm_cfg)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = build_norm_layer(norm_cfg, out_channels)[1]

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Predict heatmaps (B, K, *size) from features (B, C, h, w)."""
        x = self.conv(self.neck(x))
        if self.norm_first:
            return resize_bilinear(self.norm(x), size, self.resize_grid)
        return self.norm(resize_bilinear(x, size, self.resize_grid))


@MODELS.register_module()
class GlobalNet(BaseModule):
    """First stage of CPN: feature pyramid with heatmaps at every level.

    Paper section 3.2.1. The defaults build the network of
    github.com/GengDavid/pytorch-cpn; ``merge_norm=False, norm_first=True,
    resize_grid='tf1'`` that of github.com/chenyilun95/tf-cpn.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's levels, fine to
            coarse.
        out_channels (int, optional): Number of keypoints K. ``None`` for a GlobalNet
            without prediction layers and without a loss (the paper's ablation of the
            losses).
        feat_channels (int): Channels of the pyramid. Defaults to 256.
        merge_norm (bool): Whether the 1x1 conv after each upsampling is followed by a
            norm (pytorch-cpn) or has a bias (tf-cpn). Defaults to ``True``.
        norm_first (bool): Whether the norm of the heatmaps is before the resize
            (tf-cpn) or after it (pytorch-cpn). Both are equal in eval mode, not in
            training. Defaults to ``False``.
        resize_grid (str): ``'corners'`` (pytorch-cpn) or ``'tf1'`` (tf-cpn), see
            :func:`rmpe_plugin.ops.resize_bilinear`. Defaults to ``'corners'``.
        norm_cfg (dict): Norm layer. Defaults to ``dict(type='BN')``.
        init_cfg (dict, optional): Initialisation. Defaults to ``None``: the head's.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int | None,
        feat_channels: int = 256,
        merge_norm: bool = True,
        norm_first: bool = False,
        resize_grid: str = 'corners',
        norm_cfg: dict = NORM_CFG,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.resize_grid = resize_grid
        self.laterals = nn.ModuleList(
            ConvModule(channels, feat_channels, 1, norm_cfg=norm_cfg)
            for channels in in_channels
        )
        # merges[i] brings level i + 1 to level i
        self.merges = nn.ModuleList(
            ConvModule(
                feat_channels,
                feat_channels,
                1,
                norm_cfg=norm_cfg if merge_norm else None,
                act_cfg=None,
            )
            for _ in in_channels[1:]
        )
        self.predictors = None
        if out_channels is not None:
            self.predictors = nn.ModuleList(
                HeatmapPredictor(
                    feat_channels, out_channels, norm_first, resize_grid, norm_cfg
                )
                for _ in in_channels
            )

    def forward(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Merge the backbone's levels, from the coarsest to the finest.

        Args:
            feats (Sequence[Tensor]): Backbone features, fine to coarse, (B, C_i, h, w).

        Returns:
            list[Tensor]: Pyramid features, fine to coarse, (B, feat_channels, h, w).
        """
        laterals = [conv(x) for conv, x in zip(self.laterals, feats, strict=True)]
        merged = laterals[-1:]
        for lateral, merge in zip(laterals[-2::-1], self.merges[::-1], strict=True):
            coarse = resize_bilinear(merged[0], lateral.shape[-2:], self.resize_grid)
            merged.insert(0, lateral + merge(coarse))
        return merged

    def predict(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Predict the heatmaps of every level, at the size of the finest level.

        Args:
            pyramid (Sequence[Tensor]): Output of :meth:`forward`, or its first levels
                only, (B, feat_channels, h, w).

        Returns:
            list[Tensor]: Heatmaps (B, K, H, W) of the given levels, fine to coarse.
        """
        size = pyramid[0].shape[-2:]
        return [
            predictor(x, size)
            for predictor, x in zip(self.predictors, pyramid, strict=False)
        ]
