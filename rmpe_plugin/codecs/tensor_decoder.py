# SPDX-License-Identifier: Apache-2.0
"""Codecs as functions of tensors, for batches on any device and for exports."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor, nn

from rmpe_plugin.ops import (
    decode_dark,
    decode_dark_udp,
    decode_heatmaps,
    decode_megvii,
    decode_quarter_offset,
)

#: Codecs that :class:`TensorDecoder` supports.
DECODED_CODECS = (
    'CPNHeatmap',
    'MegviiHeatmap',
    'MSRAHeatmap',
    "UDPHeatmap(heatmap_type='gaussian')",
)


class TensorDecoder(nn.Module):
    """Decode a batch of heatmaps as a codec does, on the device of the heatmaps.

    Args:
        codec (BaseKeypointCodec): One of :data:`DECODED_CODECS`.

    Raises:
        ValueError: If the codec is not supported.
    """

    def __init__(self, codec: BaseKeypointCodec) -> None:
        super().__init__()
        name = type(codec).__name__
        combined = getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian'
        if combined or name not in _SETTINGS:
            got = f'{name}(heatmap_type={codec.heatmap_type!r})' if combined else name
            raise ValueError(
                f'model.head.decoder must be one of {", ".join(DECODED_CODECS)}, got '
                f'{got}'
            )
        self.decode, kernel_size, self.offset = _SETTINGS[name](codec)
        # OpenCV's kernels; those of small sizes are tabulated.
        kernel = cv2.getGaussianKernel(kernel_size, 0)[:, 0]
        self.register_buffer('kernel', torch.from_numpy(kernel), persistent=False)
        scale = torch.as_tensor(np.asarray(codec.scale_factor, np.float32))
        self.register_buffer('scale', scale, persistent=False)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Decode heatmaps.

        Args:
            heatmaps (Tensor): Heatmaps (B, K, H, W).

        Returns:
            tuple[Tensor, Tensor]:
            - keypoints (B, K, 2), pixels of the crop. (0, 0) is the centre of the first
              pixel, also for ``UDPHeatmap``, see :func:`crop_pixels`.
            - scores (B, K), in the codec's range.
        """
        keypoints, scores = self.decode(heatmaps, self.kernel)
        return (keypoints + self.offset) * self.scale.to(keypoints.dtype), scores


Decode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
# Function of heatmaps and blur kernel, size of the kernel, and offset of the pixels of
# the heatmap, which are then scaled to pixels of the crop.
Settings = tuple[Decode, int, float]


def _cpn(codec: BaseKeypointCodec) -> Settings:
    size = codec.blur_kernel_size

    def decode(heatmaps: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        # float32: not every runtime computes in float64.
        return decode_heatmaps(heatmaps, size, torch.float32)

    return decode, size, 0.5


def _megvii(codec: BaseKeypointCodec) -> Settings:
    return decode_megvii, codec.kernel_size, 0.0


def _msra(codec: BaseKeypointCodec) -> Settings:
    if codec.unbiased:
        return decode_dark, codec.blur_kernel_size, 0.0
    return lambda heatmaps, _: decode_quarter_offset(heatmaps), 1, 0.0


def _udp(codec: BaseKeypointCodec) -> Settings:
    return decode_dark_udp, codec.blur_kernel_size, 0.0


_SETTINGS = dict(
    CPNHeatmap=_cpn, MegviiHeatmap=_megvii, MSRAHeatmap=_msra, UDPHeatmap=_udp
)
