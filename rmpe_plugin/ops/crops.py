# SPDX-License-Identifier: Apache-2.0
"""Crops of boxes: their geometry in closed form, and one warp for many people."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def crop_matrices(
    bboxes: np.ndarray,
    size: tuple[int, int],
    padding: float | Sequence[float] = 1.25,
    udp: bool = False,
) -> np.ndarray:
    """Compute the affine maps from pixels of crops to pixels of their images.

    A box is enlarged around its centre, and its shorter side is extended to the aspect
    ratio of the crop. These are the crops of MMPose's ``GetBBoxCenterScale`` and
    ``TopdownAffine``.

    Convention:
        Coordinates are (x, y) in pixels; (0, 0) is the centre of the first pixel.
        ``cv2.warpAffine`` expects these matrices with ``WARP_INVERSE_MAP``.

    Args:
        bboxes (np.ndarray): Boxes (N, 4), xyxy, pixels of the images.
        size (tuple[int, int]): Size (w, h) of the crops, pixels.
        padding (float | Sequence[float]): Factor by which the box is enlarged, or
            factors of width and height. Defaults to 1.25.
        udp (bool): Whether the enlarged box reaches from the centre of the first to
            the centre of the last pixel of the crop, as with
            ``TopdownAffine(use_udp=True)``, instead of over all pixels. Defaults to
            ``False``.

    Returns:
        np.ndarray: Affine matrices (N, 2, 3), float64.

    Example:
        >>> box = np.array([[10.0, 20.0, 20.0, 40.0]])
        >>> crop_matrices(box, size=(5, 10), padding=1.0)[0]
        array([[ 2.,  0., 10.],
               [ 0.,  2., 20.]])
    """
    bboxes = np.asarray(bboxes, np.float64).reshape(-1, 4)
    first, last = bboxes[:, :2], bboxes[:, 2:]
    pixels = np.asarray(size, np.float64)
    enlarged = (last - first) * padding
    extent = (enlarged / pixels).max(axis=1, keepdims=True) * pixels  # (N, 2)
    matrices = np.zeros((len(bboxes), 2, 3))
    matrices[:, [0, 1], [0, 1]] = extent / (pixels - udp)
    matrices[:, :, 2] = (first + last - extent) / 2
    return matrices


def crop_to_image(keypoints: Tensor, matrices: Tensor) -> Tensor:
    """Map keypoints from pixels of crops to pixels of their images.

    Args:
        keypoints (Tensor): Keypoints (B, K, 2), pixels of the crops.
        matrices (Tensor): Affine matrices (B, 2, 3), see :func:`crop_matrices`.

    Returns:
        Tensor: Keypoints (B, K, 2), pixels of the images.

    Example:
        >>> matrix = torch.tensor([[[2.0, 0.0, 10.0], [0.0, 2.0, 20.0]]])
        >>> crop_to_image(torch.tensor([[[1.0, 3.0]]]), matrix)
        tensor([[[12., 26.]]])
    """
    linear, shift = matrices.split((2, 1), dim=-1)
    # Not a matrix product, which could be rounded to TF32.
    return (keypoints[..., None, :] * linear[:, None]).sum(-1) + shift.mT


class ImageStack(NamedTuple):
    """Images of the same size below each other.

    A row of zeros follows each image, and a column of zeros all of them, so that no
    sample of an image reads another one.

    Attributes:
        pixels (Tensor): Pixels (C, B * (H + 1), W + 1), floating point.
        height (int): Height H of an image, pixels.
    """

    pixels: Tensor
    height: int


def stack_images(images: Tensor, dtype: torch.dtype = torch.float32) -> ImageStack:
    """Prepare images for :func:`warp_crops`.

    Args:
        images (Tensor): Images (B, C, H, W) of any dtype.
        dtype (torch.dtype): Floating point dtype of the crops. Defaults to float32.

    Returns:
        ImageStack: The images.

    Example:
        >>> stack = stack_images(torch.ones(2, 3, 4, 5))
        >>> stack.pixels.shape, stack.height
        (torch.Size([3, 10, 6]), 4)
    """
    padded = F.pad(images.to(dtype), (0, 1, 0, 1))
    return ImageStack(padded.transpose(0, 1).flatten(1, 2), images.shape[-2])


def warp_crops(
    stack: ImageStack, index: Tensor, matrices: Tensor, size: tuple[int, int]
) -> Tensor:
    """Warp the crops of many people out of images of the same size.

    All people are sampled by one call, however they are distributed over the images.
    Sampling is bilinear and the padding is zero, as in ``cv2.warpAffine``.

    Convention:
        Coordinates are (x, y) in pixels; (0, 0) is the centre of the first pixel.

    Args:
        stack (ImageStack): Images, see :func:`stack_images`.
        index (Tensor): Image of each person (N,), integers.
        matrices (Tensor): Affine matrices (N, 2, 3) in the dtype of the images, from
            pixels of the crops to pixels of the images, see :func:`crop_matrices`.
        size (tuple[int, int]): Size (w, h) of the crops, pixels.

    Returns:
        Tensor: Crops (N, C, h, w).

    Example:
        >>> image = torch.arange(9).view(1, 1, 3, 3)
        >>> from_second_pixel = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]])
        >>> index = torch.tensor([0])
        >>> warp_crops(stack_images(image), index, from_second_pixel, (3, 2))
        tensor([[[[4., 5., 0.],
                  [7., 8., 0.]]]])
    """
    pixels, height = stack
    x, y = _image_pixels(matrices, size)
    inside = (y > -1) & (y < height)
    y = torch.where(inside, y + index[:, None, None] * (height + 1), -2)
    last_row, last_column = (n - 1 for n in pixels.shape[-2:])
    grid = torch.stack((x / last_column, y / last_row), dim=-1) * 2 - 1  # (N, h, w, 2)

    with torch.autocast(pixels.device.type, enabled=False):
        crops = F.grid_sample(
            pixels[None],
            grid.flatten(0, 1)[None],
            mode='bilinear',
            padding_mode='zeros',
            align_corners=True,
        )
    return crops[0].unflatten(1, (-1, size[1])).transpose(0, 1)


def _image_pixels(matrices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Coordinates x and y (N, h, w) in the images of all pixels of the crops."""
    columns, rows = (
        torch.arange(n, dtype=matrices.dtype, device=matrices.device) for n in size
    )
    right, down, origin = matrices[:, :, None, None].unbind(dim=-1)  # (N, 2, 1, 1)
    x, y = (right * columns + down * rows[:, None] + origin).unbind(dim=1)
    return x, y
