# SPDX-License-Identifier: Apache-2.0
"""Limits of uploaded files."""

from pathlib import Path
from typing import NamedTuple

import cv2
from PIL import Image

from rmpe_plugin.inference import (
    Frame,
    FrameSource,
    VideoSource,
    media_type,
    open_source,
)
from rmpe_plugin.utils.images import unreadable


class Limits(NamedTuple):
    """Limits of an uploaded file.

    Attributes:
        megabytes (int): Size of the file.
        megapixels (float): Size of a picture or of a video's frames.
        frames (int): Frames of a video.
        seconds (float): Duration of a video.
    """

    megabytes: int = 50
    megapixels: float = 50.0
    frames: int = 600
    seconds: float = 30.0

    def check_frame(self, index: int, frame: Frame) -> None:
        """Check the length of a video, which its header need not tell.

        Args:
            index (int): Number of frames before this one.
            frame (Frame): The frame.

        Raises:
            ValueError: If the video is too long.
        """
        if index >= self.frames:
            raise ValueError(f'a video can have at most {self.frames} frames')
        if (frame.time or 0) > self.seconds:
            raise ValueError(f'a video can take at most {self.seconds:g} seconds')


def open_upload(path: Path, limits: Limits) -> FrameSource:
    """Open an uploaded file, unless its header exceeds the limits.

    Args:
        path (Path): The file.
        limits (Limits): The limits.

    Returns:
        FrameSource: The picture or video.

    Raises:
        OSError: If the file does not exist, or is not the picture that its name says.
        ValueError: If it exceeds a limit, or is not named as a picture or a video.
    """
    # A playlist, such as .m3u8, is not: FFmpeg would read the files that it names.
    if not media_type(path):
        raise ValueError(
            f'a file must be a picture or a video, got one that ends with {path.suffix}'
        )
    if not path.is_file():
        raise FileNotFoundError('it was deleted on the server: upload it again')
    source = open_source(path)
    width, height = _size(source, path)
    if width * height > limits.megapixels * 1e6:
        raise ValueError(
            f'a picture or video can have at most {limits.megapixels:g} megapixels, '
            f'got {width}x{height} pixels'
        )
    if (source.number or 0) > limits.frames:
        raise ValueError(
            f'a video can have at most {limits.frames} frames, got {source.number}'
        )
    return source


def _size(source: FrameSource, path: Path) -> tuple[int, int]:
    """Width and height in the header; 0 for a video that cannot be opened."""
    if isinstance(source, VideoSource):
        capture = cv2.VideoCapture(str(path))
        width = capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        return int(width), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    try:
        with Image.open(path) as image:
            return image.size
    except Image.UnidentifiedImageError:
        raise OSError('cannot be read as an image') from None
    # Decoders raise errors of many types on damaged files.
    except Exception as error:
        raise unreadable(error) from error
