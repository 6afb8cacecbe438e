# SPDX-License-Identifier: Apache-2.0
"""An image of any size as the input of a detector of fixed size."""

import cv2
import numpy as np

PADDING = 114  # grey level
# rtmlib 0.0.16 normalises with these, in the order of the channels, BGR.
MEAN = (103.53, 116.28, 123.675)
STD = (57.375, 57.12, 58.395)


def letterbox(
    image: np.ndarray,
    size: tuple[int, int],
    padding: int = PADDING,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Resize an image with its aspect ratio, and pad it; by default as rtmlib does.

    Args:
        image (np.ndarray): BGR (H, W, 3), uint8.
        size (tuple[int, int]): Output size [w, h], pixels.
        padding (int): Grey level beside the image. Defaults to 114.
        interpolation (int): OpenCV's interpolation. Defaults to ``cv2.INTER_LINEAR``.

    Returns:
        np.ndarray: The image in the upper left corner of (h, w, 3).
    """
    width, height = size
    ratio = letterbox_ratio(image, size)
    new_height, new_width = (max(1, int(n * ratio)) for n in image.shape[:2])
    out = np.full((height, width, 3), padding, np.uint8)
    out[:new_height, :new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=interpolation
    )
    return out


def letterbox_ratio(image: np.ndarray, size: tuple[int, int]) -> float:
    """Factor by which :func:`letterbox` resizes an image.

    Args:
        image (np.ndarray): Image (H, W, ...).
        size (tuple[int, int]): Output size [w, h], pixels.

    Returns:
        float: Pixels of the output per pixel of the image.
    """
    width, height = size
    return min(height / image.shape[0], width / image.shape[1])
