# SPDX-License-Identifier: Apache-2.0
from functools import partial

from torch import Tensor, nn

from rmpe_plugin.models.heads import Heatmaps, map_heatmaps
from rmpe_plugin.ops import warp


class SDTN(nn.Module):
    """Spatial de-transformer network: warps heatmaps back to the frame of the crop.

    It undoes the warp of the STN and has no parameters. RMPE paper, section 3.1.

    gamma, the inverse of theta, is in normalised coordinates, so one gamma fits
    heatmaps of every size, as in the authors' code. The warp aligns corner pixels
    (``align_corners=True``); codecs align the first pixel and the stride. For heatmaps
    at a quarter of the crop's size this differs by at most 0.375 heatmap pixels times
    the distance of gamma from the identity.
    """

    def forward(self, heatmaps: Heatmaps, gamma: Tensor) -> Heatmaps:
        """Warp heatmaps by gamma.

        Args:
            heatmaps (Tensor | list | tuple): Heatmaps (B, K, H, W) in the frame of the
                STN's window, or nested lists or tuples of them.
            gamma (Tensor): Inverse of theta (B, 2, 3).

        Returns:
            Tensor | list | tuple: Heatmaps in the frame of the crop, in the structure
            and the shapes of the input.

        Raises:
            TypeError: If an element is not a tensor (B, K, H, W).
        """
        return map_heatmaps(partial(self._warp, gamma=gamma), heatmaps)

    @staticmethod
    def _warp(heatmaps: Tensor, gamma: Tensor) -> Tensor:
        """Warp heatmaps (B, K, H, W) by gamma (B, 2, 3)."""
        if not isinstance(heatmaps, Tensor) or heatmaps.ndim != 4:
            got = getattr(heatmaps, 'shape', type(heatmaps).__name__)
            raise TypeError(
                f'the SDTN needs a head that predicts heatmaps (B, K, H, W), got {got}'
            )
        return warp(heatmaps, gamma, heatmaps.shape[-2:])
