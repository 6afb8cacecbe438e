# SPDX-License-Identifier: Apache-2.0
"""Codecs as functions of tensors, for exported graphs."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor

from rmpe_plugin.ops import (
    decode_dark,
    decode_dark_udp,
    decode_heatmaps,
    decode_megvii,
    decode_quarter_offset,
)

#: Codecs that :func:`tensor_decoder` supports.
DECODED_CODECS = (
    'CPNHeatmap',
    'MegviiHeatmap',
    'MSRAHeatmap',
    "UDPHeatmap(heatmap_type='gaussian')",
)

Decoder = Callable[[Tensor], tuple[Tensor, Tensor]]


def tensor_decoder(codec: BaseKeypointCodec) -> Decoder:
    """Make a function that decodes a batch of heatmaps as a codec does, on tensors.

    Args:
        codec (BaseKeypointCodec): One of :data:`DECODED_CODECS`.

    Returns:
        Callable: From heatmaps (B, K, H, W) to keypoints (B, K, 2) in pixels of the
        crop and scores (B, K) in the codec's range. (0, 0) is the centre of the first
        pixel, also for ``UDPHeatmap``, see :func:`crop_pixels`.

    Raises:
        ValueError: If the codec is not supported.
    """
    name = type(codec).__name__
    combined = getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian'
    if combined or name not in _FACTORIES:
        got = f'{name}(heatmap_type={codec.heatmap_type!r})' if combined else name
        raise ValueError(
            f'model.head.decoder must be one of {", ".join(DECODED_CODECS)} for an '
            f'export, got {got}'
        )
    decode, offset, scale = _FACTORIES[name](codec)
    scale = torch.as_tensor(np.asarray(scale, np.float32))

    def decode_batch(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        keypoints, scores = decode(heatmaps)
        return (keypoints + offset) * scale.to(keypoints), scores

    return decode_batch


def _kernel(size: int) -> Tensor:
    """OpenCV's default kernel of a blur; tabulated for small sizes."""
    return torch.from_numpy(cv2.getGaussianKernel(size, 0)[:, 0])


# Each returns the decoder of heatmap pixels, and offset and factor of the conversion to
# pixels of the crop.


def _cpn(codec: BaseKeypointCodec) -> tuple[Decoder, float, np.ndarray]:
    # float32: not every runtime computes in float64.
    size = codec.blur_kernel_size
    return lambda x: decode_heatmaps(x, size, torch.float32), 0.5, codec.scale_factor


def _megvii(codec: BaseKeypointCodec) -> tuple[Decoder, float, np.ndarray]:
    kernel = _kernel(codec.kernel_size)
    return lambda x: decode_megvii(x, kernel), 0.0, codec.scale_factor


def _msra(codec: BaseKeypointCodec) -> tuple[Decoder, float, np.ndarray]:
    if not codec.unbiased:
        return decode_quarter_offset, 0.0, codec.scale_factor
    kernel = _kernel(codec.blur_kernel_size)
    return lambda x: decode_dark(x, kernel), 0.0, codec.scale_factor


def _udp(codec: BaseKeypointCodec) -> tuple[Decoder, float, np.ndarray]:
    kernel = _kernel(codec.blur_kernel_size)
    return lambda x: decode_dark_udp(x, kernel), 0.0, codec.scale_factor


_FACTORIES = dict(
    CPNHeatmap=_cpn, MegviiHeatmap=_megvii, MSRAHeatmap=_msra, UDPHeatmap=_udp
)
