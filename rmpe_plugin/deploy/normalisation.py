# SPDX-License-Identifier: Apache-2.0
"""Normalisation of images: that of a model, and that of rtmlib, which is reverted."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn


def normalise(norm: ImgDataPreprocessor, images: Tensor, color: str) -> Tensor:
    """Normalise images as a data preprocessor of MMPose or MMDetection does.

    Args:
        norm (ImgDataPreprocessor): The preprocessor, for images of OpenCV.
        images (Tensor): Images (B, 3, h, w), 0 to 255.
        color (str): Their channel order, ``'bgr'`` or ``'rgb'``.

    Returns:
        Tensor: Input of the network (B, 3, h, w), float32.
    """
    if color != network_color(norm):
        images = images.flip(1)
    x = images.to(torch.float32, copy=True)
    # In place: memory that was not used before takes longer than the arithmetic.
    return x.sub_(norm.mean).div_(norm.std) if norm._enable_normalize else x


def network_color(norm: ImgDataPreprocessor) -> str:
    """Channel order that the network of a data preprocessor expects.

    Args:
        norm (ImgDataPreprocessor): The preprocessor, for images of OpenCV.

    Returns:
        str: ``'bgr'`` or ``'rgb'``.

    Raises:
        ValueError: If it does not normalise images.
    """
    if not isinstance(norm, ImgDataPreprocessor):
        raise ValueError(
            'model.data_preprocessor must be PoseDataPreprocessor, got '
            f'{type(norm).__name__}'
        )
    return 'rgb' if norm._channel_conversion else 'bgr'


class RTMLibNormalisation(nn.Module):
    """Normalisation of a class of rtmlib, and its inverse.

    Args:
        mean (Sequence[float]): Means in the order in which rtmlib applies them to the
            channels of a BGR image.
        std (Sequence[float]): Standard deviations.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in dict(mean=mean, std=std).items():
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Revert the normalisation of images (B, 3, h, w)."""
        return images * self.std + self.mean

    def apply_to(self, images: np.ndarray) -> np.ndarray:
        """Normalise images (B, 3, h, w), BGR, uint8, as rtmlib does."""
        return (images.astype(np.float32) - self.mean.numpy()) / self.std.numpy()
