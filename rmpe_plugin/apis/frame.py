# SPDX-License-Identifier: Apache-2.0
"""One image, and how it is read from a file or an array."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import mmcv
import numpy as np
from PIL import Image

# OpenCV's conversion to BGR by the number of channels.
_TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}


@dataclass(eq=False)
class Frame:
    """One image, or the reason why there is none.

    Args:
        image_id (int | str): COCO's ``image_id`` in results.
        name (str): Name for messages: the path, for a frame of a video also its index.
        image (np.ndarray, optional): BGR (H, W, 3), uint8. Defaults to ``None``.
        error (str): Why there is no image. Defaults to ``''``.
        video (str): The video that the frame belongs to, ``''`` for an image. Defaults
            to ``''``.
        fps (float): Frame rate of the video in frames per second. Defaults to 0.
    """

    image_id: int | str
    name: str
    image: np.ndarray | None = None
    error: str = ''
    video: str = ''
    fps: float = 0.0


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Convert an array to the format that detectors and pose estimators expect.

    Args:
        image (np.ndarray): Grey (H, W) or (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4),
            uint8.

    Returns:
        np.ndarray: BGR (H, W, 3), uint8.

    Raises:
        ValueError: If the dtype or the shape is not supported, or the image is empty.
    """
    image = np.atleast_3d(image)
    channels = image.shape[-1]
    if image.dtype != np.uint8 or image.ndim != 3 or channels not in (1, 3, 4):
        raise ValueError(
            'an image must be uint8, grey (H, W), BGR (H, W, 3) or BGRA (H, W, 4), got '
            f'{image.dtype} {image.shape}'
        )
    if not image.size:
        raise ValueError(f'an image must not be empty, got shape {image.shape}')
    return image if channels == 3 else cv2.cvtColor(image, _TO_BGR[channels])


def image_id_of(path: Path) -> int | str:
    """Derive COCO's image id from a file name, as COCO names its files.

    Args:
        path (Path): Image file.

    Returns:
        int | str: ``785`` for ``000000000785.jpg``; the file name itself if its stem is
        not a number.
    """
    return int(path.stem) if path.stem.isdecimal() else path.name


def _is_deep(path: Path) -> bool:
    """Whether an image is grey with 16 bits or more, which Pillow would clip to white.

    OpenCV converts it to 8 bits. The image is read completely, because OpenCV does not
    raise an error if the file is truncated.
    """
    with Image.open(path) as image:
        if not image.mode.startswith('I'):
            return False
        image.load()
        return True


def read_image(path: Path, image_id: int | str) -> Frame:
    """Read an image file.

    Args:
        path (Path): Image file.
        image_id (int | str): COCO's ``image_id`` in results.

    Returns:
        Frame: The image, or the reason why it cannot be read.
    """
    try:
        # OpenCV fills the missing part of a truncated file with grey, without an error.
        image = mmcv.imread(str(path), backend='cv2' if _is_deep(path) else 'pillow')
        # A view in reverse order, which OpenCV would copy for each crop.
        return Frame(image_id, str(path), np.ascontiguousarray(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Frame(image_id, str(path), error=f'{type(error).__name__}: {error}')
