# SPDX-License-Identifier: Apache-2.0
"""Sources of frames: an array, an image file, a video file or a camera."""

import mimetypes
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from .frame import Frame, image_id_of, read_image, to_bgr


class FrameSource(ABC):
    """A source of one or more frames.

    Attributes:
        image_id (int | str, optional): ``image_id`` of the only frame; ``None`` for a
            video.
        path (Path, optional): The file; ``None`` for an array or a camera.
    """

    image_id: int | str | None = None
    path: Path | None = None

    @property
    def number(self) -> int | None:
        """Number of frames; ``None`` if unknown."""
        return 1

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Read the frames.

        Yields:
            Frame: A frame with an image or with an error.
        """

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make functions that return the frames and can run in several threads.

        Yields:
            Callable: Function that returns one frame. A video is decoded while this
            generator is advanced, because its frames depend on each other.
        """
        for frame in self.frames():
            yield partial(_identity, frame)


class ArraySource(FrameSource):
    """An image in memory.

    Args:
        image (np.ndarray): As :func:`~rmpe_plugin.apis.frame.to_bgr` accepts it.
        index (int): Its ``image_id``.
    """

    def __init__(self, image: np.ndarray, index: int) -> None:
        self.image = image
        self.image_id: int = index

    def frames(self) -> Iterator[Frame]:
        """Convert the array to BGR."""
        name = f'array {self.image_id}'
        try:
            yield Frame(self.image_id, name, to_bgr(self.image))
        except ValueError as error:
            yield Frame(self.image_id, name, error=str(error))


class ImageSource(FrameSource):
    """An image file.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.image_id: int | str = image_id_of(path)

    def frames(self) -> Iterator[Frame]:
        """Read the file."""
        yield read_image(self.path, self.image_id)

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make a function that reads the file."""
        yield partial(read_image, self.path, self.image_id)


class VideoSource(FrameSource):
    """A video file or a camera.

    Args:
        source (Path | int): The file, or the index of the camera.
        name (str): Name for messages. A video file's stem is the first part of its
            image ids.
        prefix_ids (bool): Whether image ids are ``'stem/index'`` instead of the frame
            index. Defaults to ``False``.
    """

    def __init__(self, source: Path | int, name: str, prefix_ids: bool = False) -> None:
        self.name, self.prefix_ids = name, prefix_ids
        self.path = source if isinstance(source, Path) else None
        self._source = str(source) if isinstance(source, Path) else source

    @property
    def stem(self) -> str:
        """Name of the video in results."""
        return Path(self.name).stem

    @cached_property
    def number(self) -> int | None:
        """Number of frames according to the header; ``None`` for a camera or stream."""
        if self.path is None:
            return None
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            return 1
        number = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return number if number > 0 else None

    def frames(self) -> Iterator[Frame]:
        """Decode the video; a run of undecodable frames gives one frame with an error.

        A single undecodable frame at the end is ignored, because frame counts in
        headers are often wrong by one.
        """
        number = self.number
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            yield self._frame(0, error='cannot be read as an image or a video')
            return
        fps = capture.get(cv2.CAP_PROP_FPS)
        failed: list[int] = []
        for index in count() if number is None else range(number):
            success, image = capture.read()
            if success:
                yield from self._report(failed)
                failed = []
                yield self._frame(index, image=image, fps=fps)
            elif number is None:
                break
            else:
                failed.append(index)
        if len(failed) > 1:
            yield from self._report(failed)

    def _report(self, failed: list[int]) -> Iterator[Frame]:
        """Yield one frame with an error for a run of undecodable frames."""
        if failed:
            error = f'{len(failed)} consecutive frames could not be decoded'
            yield self._frame(failed[0], error=error)

    def _frame(
        self,
        index: int,
        image: np.ndarray | None = None,
        error: str = '',
        fps: float = 0.0,
    ) -> Frame:
        """Build the frame of an index."""
        image_id = f'{self.stem}/{index}' if self.prefix_ids else index
        name = f'{self.name} frame {index}'
        return Frame(image_id, name, image, error, video=self.name, fps=fps)


def _identity(frame: Frame) -> Frame:
    return frame


def media_type(path: Path) -> str:
    """Guess the media type of a file from its name.

    Args:
        path (Path): The file.

    Returns:
        str: ``'image'``, ``'video'`` or another type; ``''`` if unknown.
    """
    return (mimetypes.guess_type(path.name, strict=False)[0] or '').partition('/')[0]


def open_file(path: Path, prefix_ids: bool) -> FrameSource:
    """Open an image file; every other file is opened as a video.

    Args:
        path (Path): The file.
        prefix_ids (bool): As :class:`VideoSource`'s.

    Returns:
        FrameSource: The source.
    """
    if media_type(path) == 'image':
        return ImageSource(path)
    return VideoSource(path, str(path), prefix_ids)


def open_camera(name: str, prefix_ids: bool) -> VideoSource:
    """Open a camera.

    Args:
        name (str): ``'webcam'``, the first camera, or ``'webcam:INDEX'``.
        prefix_ids (bool): As :class:`VideoSource`'s.

    Returns:
        VideoSource: The source.

    Raises:
        ValueError: If the index is not a number.
    """
    try:
        index = int(name.partition(':')[2] or 0)
    except ValueError as error:
        raise ValueError(
            f"a camera must be 'webcam' or 'webcam:INDEX', got {name!r}"
        ) from error
    return VideoSource(index, name, prefix_ids)
