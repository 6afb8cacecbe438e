# SPDX-License-Identifier: Apache-2.0
"""Codecs as functions of tensors, for batches on any device and for exports."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import cv2
import numpy as np
import torch
from mmpose.codecs import MegviiHeatmap, RegressionLabel, SimCCLabel
from mmpose.codecs.base import BaseKeypointCodec
from torch import Tensor, nn

from rmpe_plugin.codecs import CPNHeatmap
from rmpe_plugin.ops import (
    decode_dark,
    decode_dark_udp,
    decode_megvii,
    decode_quarter_offset,
    decode_simcc,
)

from .views import Encoded

#: Codecs that :func:`tensor_decoder` supports.
DECODED_CODECS = (
    'CPNHeatmap',
    'MegviiHeatmap',
    'MSRAHeatmap',
    'RegressionLabel',
    'SimCCLabel(use_dark=False, decode_visibility=False)',
    "UDPHeatmap(heatmap_type='gaussian')",
)
Decoder = Callable[[Encoded], tuple[Tensor, Tensor]]
T = TypeVar('T', np.ndarray, Tensor)


def tensor_decoder(codec: BaseKeypointCodec) -> Decoder:
    """Make a function that decodes a batch as a codec does, on any device.

    Args:
        codec (BaseKeypointCodec): One of :data:`DECODED_CODECS`.

    Returns:
        Callable: Function of heatmaps (B, K, H, W), of two SimCC vectors (B, K, W) and
        (B, K, H), or of coordinates (B, K, 2 or 4); a module if it has buffers. It
        returns

        - keypoints (B, K, 2), pixels of the crop. (0, 0) is the centre of the first
          pixel, also for ``UDPHeatmap``, see :func:`rmpe_plugin.codecs.crop_pixels`.
        - scores (B, K) in [0, 1].

    Raises:
        ValueError: If the codec is not supported.
    """
    if isinstance(codec, CPNHeatmap):
        # float32: not every runtime computes in float64.
        return partial(codec.decode_tensors, dtype=torch.float32)
    if isinstance(codec, RegressionLabel):
        return partial(_decode_regression, codec)
    name = type(codec).__name__
    if isinstance(codec, SimCCLabel):
        if not codec.use_dark and not codec.decode_visibility:
            return partial(_decode_simcc, codec)
        name += f'(use_dark={codec.use_dark}, decode_visibility='
        name += f'{codec.decode_visibility})'
    combined = getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian'
    if combined or name not in _FUNCTIONS:
        got = f'{name}(heatmap_type={codec.heatmap_type!r})' if combined else name
        raise ValueError(
            f'model.head.decoder must be one of {", ".join(DECODED_CODECS)}, got {got}'
        )
    return _MMPoseDecoder(codec, *_FUNCTIONS[name](codec))


def unit_scores(scores: T, codec: BaseKeypointCodec) -> T:
    """Convert scores of a codec to [0, 1].

    Args:
        scores (Array): Scores of any shape that the codec decodes: values of heatmaps
            or vectors, of ``MegviiHeatmap`` values / 255 + 0.5, or of RLE 1 - sigma.
        codec (BaseKeypointCodec): A codec of this package or of MMPose.

    Returns:
        Array: Scores in [0, 1].
    """
    if isinstance(codec, MegviiHeatmap):
        scores = scores - 0.5
    return scores.clip(0, 1)


class _MMPoseDecoder(nn.Module):
    """Decoder of a codec of MMPose, from its function and the size of its blur."""

    def __init__(
        self, codec: BaseKeypointCodec, function: Callable, kernel_size: int
    ) -> None:
        super().__init__()
        self.codec, self.function = codec, function
        # OpenCV's kernels; those of small sizes are tabulated.
        kernel = cv2.getGaussianKernel(kernel_size, 0)[:, 0]
        self.register_buffer('kernel', torch.from_numpy(kernel), persistent=False)
        scale = torch.as_tensor(np.asarray(codec.scale_factor, np.float32))
        self.register_buffer('scale', scale, persistent=False)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Decode heatmaps (B, K, H, W), see :func:`tensor_decoder`."""
        keypoints, scores = self.function(heatmaps, self.kernel)
        keypoints = keypoints * self.scale.to(keypoints.dtype)
        return keypoints, unit_scores(scores, self.codec)


def _decode_simcc(
    codec: SimCCLabel, vectors: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Decode SimCC vectors (B, K, W) and (B, K, H)."""
    keypoints, scores = decode_simcc(*vectors)
    return keypoints / codec.simcc_split_ratio, unit_scores(scores, codec)


def _decode_regression(
    codec: RegressionLabel, coordinates: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode coordinates (B, K, 2), or (B, K, 4) with RLE's sigmas."""
    width, height = codec.input_size
    x, y = coordinates[..., 0] * width, coordinates[..., 1] * height
    sigmas = coordinates[..., 2:]
    scores = 1 - sigmas.mean(dim=-1) if sigmas.shape[-1] else torch.ones_like(x)
    return torch.stack((x, y), dim=-1), unit_scores(scores, codec)


def _msra(codec: BaseKeypointCodec) -> tuple[Callable, int]:
    """Function of heatmaps and kernel, and the size of the kernel."""
    if codec.unbiased:
        return decode_dark, codec.blur_kernel_size
    return lambda heatmaps, _: decode_quarter_offset(heatmaps), 1


_FUNCTIONS = dict(
    MegviiHeatmap=lambda codec: (decode_megvii, codec.kernel_size),
    MSRAHeatmap=_msra,
    UDPHeatmap=lambda codec: (decode_dark_udp, codec.blur_kernel_size),
)
