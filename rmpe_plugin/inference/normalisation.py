# SPDX-License-Identifier: Apache-2.0
"""Normalisation of images in one batch on any device."""

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor


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
    if not norm._enable_normalize:
        return x
    mean, std, values = norm.mean, norm.std, x
    if x.is_contiguous(memory_format=torch.channels_last):
        # Whole rows (B, h, w * 3) instead of three numbers at a time.
        values = x.permute(0, 2, 3, 1).flatten(2)
        mean, std = (n.flatten().repeat(x.shape[-1]) for n in (mean, std))
    # In place: memory that was not used before takes longer than the arithmetic.
    values.sub_(mean).div_(std)
    return x


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
