# SPDX-License-Identifier: Apache-2.0
"""Images as arrays of 8 bits, from files and from other libraries.

This is the only reader of images: training and inference get the same pixels.
"""

import re
from collections import defaultdict
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

# OpenCV's conversion to BGR by the number of channels.
_TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}
# Markers of a JPEG.
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_START_OF_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1)
_XMP_ROTATION = b'tiff:Orientation'
# Formats of which further images are other views, copies or layers.
_VIEWS = ('MPO', 'PSD', 'ICO', 'ICNS')

#: An image of another library, see :func:`to_bgr`.
ImageLike = np.ndarray | torch.Tensor | Image.Image


def load_image(file: str | Path | bytes) -> np.ndarray:
    """Read an image file, rotated as its EXIF data say; transparency is dropped.

    Pillow reads it; OpenCV reads ordinary JPEGs, which is faster, and pixels that
    Pillow does not know, such as three floats. Of a file with several images, the first
    one is read.

    Args:
        file (str | Path | bytes): The file, or its content.

    Returns:
        np.ndarray: BGR (H, W, 3), uint8, see :func:`to_bgr` for other numbers.

    Raises:
        FileNotFoundError: If the file does not exist.
        OSError: If it is truncated or is not an image. The message does not contain the
            path.
    """
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    if (pixels := _load_ordinary_jpeg(data)) is not None:
        return pixels
    try:
        with Image.open(BytesIO(data)) as image:
            pixels = from_pillow(image)
            is_cut = image.format in ('JPEG', 'MPO') and _is_cut_jpeg(image, data)
    except UnidentifiedImageError as error:
        pixels, is_cut = _load_with_opencv(data, error), False
    # Decoders raise errors of many types on damaged files.
    except Exception as error:
        raise unreadable(error) from error
    if is_cut:
        raise OSError('cannot be read as an image: its JPEG data end too early')
    return pixels


def to_bgr(image: ImageLike) -> np.ndarray:
    """Convert an image to the format that detectors and pose estimators expect.

    Integers of more than 8 bits are 8-bit values if none is above 255, otherwise 16-bit
    values. Floats are in [0, 1], or whole numbers up to 255.

    Args:
        image (ImageLike): An array, grey (H, W) or (H, W, 1), BGR (H, W, 3) or BGRA
            (H, W, 4); a tensor as torchvision reads it, grey (H, W) or (1, H, W), RGB
            (3, H, W) or RGBA (4, H, W); or an image of Pillow.

    Returns:
        np.ndarray: BGR (H, W, 3), uint8, contiguous.

    Raises:
        ValueError: If the numbers or the shape are not supported, or the image is
            empty.
    """
    if isinstance(image, Image.Image):
        if getattr(image, 'is_animated', False) and image.format not in _VIEWS:
            raise ValueError(
                f'an image must not be an animation, got {image.n_frames} frames: give '
                'the path of the file, or copies of the frames'
            )
        return from_pillow(image)
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    image = np.atleast_3d(image)
    channels = image.shape[-1]
    if image.dtype.kind not in 'buif' or image.ndim != 3 or channels not in (1, 3, 4):
        raise ValueError(
            'an image must have numbers, grey (H, W), BGR (H, W, 3) or BGRA '
            f'(H, W, 4), got {image.dtype} {image.shape}'
        )
    if not image.size:
        raise ValueError(f'an image must not be empty, got shape {image.shape}')
    image = np.ascontiguousarray(_to_8_bits(image))
    return image if channels == 3 else cv2.cvtColor(image, _TO_BGR[channels])


def from_pillow(image: Image.Image) -> np.ndarray:
    """Convert an image of Pillow, rotated as its EXIF data say.

    Args:
        image (Image.Image): The image, of which the current frame is converted.

    Returns:
        np.ndarray: BGR (H, W, 3), uint8, see :func:`to_bgr`.

    Raises:
        OSError: If the file is truncated.
        ValueError: If the numbers are not supported.
    """
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(('I', 'F')):
        return to_bgr(np.asarray(image))
    return cv2.cvtColor(np.asarray(image.convert('RGB')), cv2.COLOR_RGB2BGR)


def _from_tensor(image: torch.Tensor) -> np.ndarray:
    """Convert a tensor with the channels first."""
    channels = image.shape[0] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ValueError(
            'a tensor must be grey (H, W) or (1, H, W), RGB (3, H, W) or RGBA '
            f'(4, H, W), got {tuple(image.shape)}'
        )
    if image.dtype == torch.bfloat16:  # NumPy has no such type
        image = image.float()
    array = image.detach().cpu().numpy().reshape(channels, *image.shape[-2:])
    if channels > 1:
        array = array[[2, 1, 0, 3][:channels]]
    return to_bgr(array.transpose(1, 2, 0))


def _to_8_bits(image: np.ndarray) -> np.ndarray:
    """Convert numbers of any type to uint8."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    low, high = image.min(), image.max()
    if image.dtype.kind == 'f':
        if low >= 0 and high <= 1:
            return np.rint(image.astype(np.float32) * 255).astype(np.uint8)
        if low >= 0 and high <= 255 and (image == np.rint(image)).all():
            return image.astype(np.uint8)
        expected = 'be in [0, 1], or whole numbers up to 255'
    else:
        if low >= 0 and high <= 255:
            return image.astype(np.uint8)
        if low >= 0 and high < 2**16:
            return (image >> 8).astype(np.uint8)
        expected = 'be in [0, 65535]'
    raise ValueError(
        f'{image.dtype} values of an image must {expected}, got {low:g} to {high:g}'
    )


def _load_with_opencv(data: bytes, error: Exception) -> np.ndarray:
    """Read an image that Pillow does not know."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise UnidentifiedImageError('its format is unknown')
        return to_bgr(image)
    except (cv2.error, OSError, ValueError) as reason:
        raise unreadable(reason) from error


def unreadable(error: Exception) -> OSError:
    """Make the error of a file from that of a decoder.

    Args:
        error (Exception): What the decoder raised.

    Returns:
        OSError: With a message that does not contain the path.
    """
    return OSError(f'cannot be read as an image: {type(error).__name__}: {error}')


def _load_ordinary_jpeg(data: bytes) -> np.ndarray | None:
    """Read a JPEG that is certainly complete; ``None`` for all other files."""
    if not (data.startswith(_JPEG_START) and data.endswith(_JPEG_END)):
        return None
    scan, frame, components = _read_jpeg_header(data)
    # OpenCV converts four components differently, and ignores XMP data.
    if frame not in _SEQUENTIAL or components > 3 or _XMP_ROTATION in data[:scan]:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if image is None:
        return None
    # What is missing is filled with one colour, up to the last row before a rotation.
    borders = image[0], image[-1], image[:, 0], image[:, -1]
    return image if all((b != b[0]).any() for b in borders) else None


def _is_cut_jpeg(image: Image.Image, data: bytes) -> bool:
    """Whether a JPEG, which was read, has its end marker before the end of its data.

    libjpeg fills what is missing with one colour, without an error.
    """
    width, height = image.size
    last = np.asarray(image.crop((0, height - 1, width, height)))
    scan, frame, components = _read_jpeg_header(data)
    if frame in _SEQUENTIAL and (last != last[:, :1]).any():
        return False
    end = data.find(_JPEG_END, scan)
    if frame not in _SEQUENTIAL or data[scan + 4] < components:
        return not _has_all_scans(data[scan:end], components)
    return _ends_early(data[:end], image, int(last.flat[0]))


def _read_jpeg_header(data: bytes) -> tuple[int, int, int]:
    """Position of the first scan of a JPEG, kind of its frame, number of components."""
    position, frame, components = 2, 0, 0
    while position + 9 < len(data) and data[position + 1] != _START_OF_SCAN:
        if data[position + 1] in _FRAMES:
            frame, components = data[position + 1], data[position + 9]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return position, frame, components


def _has_all_scans(data: bytes, components: int) -> bool:
    """Whether the scans contain all bits of all coefficients of a progressive JPEG."""
    low_bit = defaultdict(lambda: np.full(64, 99))
    # Compressed data do not contain markers.
    for match in re.finditer(rb'\xff\xda..', data, re.DOTALL):
        number = data[match.end()]
        names = data[match.end() + 1 : match.end() + 1 + 2 * number : 2]
        start, stop, bits = data[match.end() + 1 + 2 * number :][:3]
        for name in names:
            low_bit[name][start : stop + 1] = bits & 15
    return len(low_bit) == components and not any(map(np.any, low_bit.values()))


def _ends_early(data: bytes, image: Image.Image, last: int) -> bool:
    """Whether JPEG data without an end marker do not reach the last rows."""
    # A complete image lacks a row of blocks, and two rows for upsampling the colours.
    with Image.open(BytesIO(data)) as cut:
        row = cut.height - 8 * max(layer[2] for layer in cut.layer) - 3
        if row < 0:
            return False
        _, extents, _, args = cut.tile[0]
        decoder = Image._getdecoder(cut.mode, 'jpeg', args, cut.decoderconfig)
        fill = 0 if last > 127 else 255
        canvas = Image.new(cut.mode, cut.size, (fill,) * len(cut.getbands()))
        decoder.setimage(canvas.im, extents)
        decoder.decode(data)
        decoder.cleanup()
    box = (0, row, image.width, row + 1)
    return canvas.crop(box).tobytes() != image.crop(box).tobytes()
