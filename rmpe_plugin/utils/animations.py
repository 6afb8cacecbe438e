# SPDX-License-Identifier: Apache-2.0
"""Image files with several frames or pages."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from .images import from_pillow, unreadable

# Other formats with several images have copies, layers or other views of one image.
FORMATS = ('GIF', 'WEBP', 'PNG', 'AVIF', 'TIFF')
# A folder can have many of these, which are opened later.
_JPEG = b'\xff\xd8\xff'
# TIFF's NewSubfileType: reduced copies and masks are no pages.
_SUBFILE_TYPE, _COPY_OR_MASK = 254, 0b101
# Browsers show frames whose duration is 0 for so long, seconds.
_DEFAULT_DURATION = 0.1


def count_frames(source: Path | BytesIO) -> int:
    """Count the frames of a GIF, WebP, APNG or AVIF, or the pages of a TIFF.

    Args:
        source (Path | BytesIO): Image file, or its content.

    Returns:
        int: The number; 1 for other formats and for files that cannot be read.
    """
    try:
        with source.open('rb') if isinstance(source, Path) else source as file:
            if file.read(3) == _JPEG:
                return 1
            file.seek(0)
            with Image.open(file) as image:
                return max(1, len(_frame_numbers(image)))
    # Decoders raise errors of many types on damaged files.
    except Exception:
        return 1


def load_frames(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    """Read all frames of an image file.

    Args:
        path (Path): Image file.

    Yields:
        tuple[np.ndarray, float]: The frame, BGR (H, W, 3), uint8, and how long it is
        shown, in seconds.

    Raises:
        OSError: If a frame cannot be read.
    """
    try:
        with Image.open(path) as image:
            for number in _frame_numbers(image):
                image.seek(number)
                pixels = from_pillow(image)
                yield pixels, image.info.get('duration', 0) / 1000 or _DEFAULT_DURATION
    except FileNotFoundError:
        raise
    # Decoders raise errors of many types on damaged files.
    except Exception as error:
        raise unreadable(error) from error


def _frame_numbers(image: Image.Image) -> list[int]:
    """Numbers of the frames among all images of a file."""
    number = getattr(image, 'n_frames', 1)
    if image.format not in FORMATS or number == 1:
        return [0]
    if image.format == 'TIFF':
        return [i for i in range(number) if not _is_copy(image, i)]
    # An APNG can begin with an image for programs that do not show animations.
    return [*range(int(image.info.get('default_image', False)), number)]


def _is_copy(image: Image.Image, number: int) -> bool:
    """Whether a page of a TIFF is a reduced copy or a mask."""
    image.seek(number)
    return bool(image.tag_v2.get(_SUBFILE_TYPE, 0) & _COPY_OR_MASK)
