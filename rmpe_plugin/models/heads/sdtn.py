# SPDX-License-Identifier: Apache-2.0
"""The inverse transformer, put between any heatmap head's maps and all that follows.

MMPose's heads get their heatmaps from ``self.forward`` and go on to losses, flipping
and decoding by themselves. So the one place for the SDTN that changes no head is there.
"""

from functools import cache
from typing import Any, NamedTuple

from mmpose.models.heads.base_head import BaseHead
from torch import Tensor

from rmpe_plugin.ops import warp


class WarpedFeatures(NamedTuple):
    """Features of a warped image, and the way back.

    Attributes:
        feats (Any): What the head takes otherwise.
        gamma (Tensor): The inverse of the image's theta (B, 2, 3).
    """

    feats: Any
    gamma: Tensor


def dewarp_heatmaps(heatmaps: Any, gamma: Tensor) -> Any:
    """Warp heatmaps by gamma, whatever stages and levels they come in.

    gamma is in normalised coordinates, so that one fits every resolution (RMPE paper,
    section 3.1, and its authors' code). Corner pixels are matched to corner pixels,
    which for maps at a quarter of the crop's size is off by at most 0.375 heatmap
    pixels times gamma's distance from the identity.

    Args:
        heatmaps (Tensor | Sequence): (B, K, H, W), or a list or tuple of such.
        gamma (Tensor): (B, 2, 3).

    Returns:
        Tensor | Sequence: As given, in the frame of the crop.

    Raises:
        TypeError: For anything that is no heatmap.
    """
    if isinstance(heatmaps, (list, tuple)):
        return type(heatmaps)(dewarp_heatmaps(x, gamma) for x in heatmaps)
    if not isinstance(heatmaps, Tensor) or heatmaps.ndim != 4:
        got = getattr(heatmaps, 'shape', type(heatmaps).__name__)
        raise TypeError(
            f'the SDTN needs a head that predicts heatmaps (B, K, H, W), got {got}'
        )
    return warp(heatmaps, gamma, heatmaps.shape[-2:])


@cache
def _with_sdtn(head_class: type[BaseHead]) -> type[BaseHead]:
    class WithSDTN(head_class):
        def forward(self, feats: Any, *args, **kwargs) -> Any:
            if not isinstance(feats, WarpedFeatures):
                return super().forward(feats, *args, **kwargs)
            heatmaps = super().forward(feats.feats, *args, **kwargs)
            return dewarp_heatmaps(heatmaps, feats.gamma)

    WithSDTN.__name__ = WithSDTN.__qualname__ = f'{head_class.__name__}WithSDTN'
    return WithSDTN


def add_sdtn(head: BaseHead) -> None:
    """Give a built head an SDTN, as ``torch.nn.utils.parametrize`` gives a layer one.

    The head becomes an instance of a subclass of its own class. With
    :class:`WarpedFeatures` its ``forward`` gives heatmaps in the frame of the crop;
    with plain features, as before. Parameters and their names stay.

    Args:
        head (BaseHead): A head whose ``loss`` and ``predict`` take their heatmaps from
            ``self.forward``, as ``HeatmapHead``, ``CPMHead``, ``MSPNHead`` and
            ``CPNHead`` do.
    """
    head.__class__ = _with_sdtn(type(head))
