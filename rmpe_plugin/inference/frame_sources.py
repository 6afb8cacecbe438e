# SPDX-License-Identifier: Apache-2.0
"""Sources of frames: images, animations, videos, streams and cameras.

:func:`open_source` opens each of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from rmpe_plugin.utils.animations import count_frames, load_frames
from rmpe_plugin.utils.images import ImageLike, load_image, to_bgr

from .containers import edited_seconds, is_cut
from .frame import Frame, image_id_of, read_image
from .media_types import media_type
from .web import download, is_address, is_image_address, public_name

# Frames that may be undecodable in sequence before the end of a file is assumed.
_PATIENCE = 1000
# Frames from which the frame rate of a file is measured, and its bounds where the
# header's is not plausible, as of videos that browsers record, frames per second.
_MEASURED, _MAX_MEASURED_FPS, _MAX_FPS = 64, 60.0, 240.0
# Frame rate of files without times and without a frame rate.
_DEFAULT_FPS = 25.0
UNREADABLE = 'cannot be read as an image or a video'


class Timeline(NamedTuple):
    """The frames of a video, without their images.

    Attributes:
        times (np.ndarray): When each frame is shown (F,), in seconds from the start.
        fps (float): Frame rate of the header, or the mean if it is variable, frames per
            second.
        is_variable (bool): Whether distances between frames differ.
        size (tuple[int, int]): Width and height of the first frame, pixels.
        errors (tuple[str, ...]): What cannot be decoded.
    """

    times: np.ndarray
    fps: float
    is_variable: bool
    size: tuple[int, int]
    errors: tuple[str, ...] = ()


class FrameSource(ABC):
    """A source of one or more frames.

    Attributes:
        image_id (int | str, optional): ``image_id`` of the only frame; ``None`` for a
            video.
        path (Path, optional): The file; ``None`` for an array or a camera.
        name (str): Name for messages.
    """

    image_id: int | str | None = None
    path: Path | None = None
    name: str

    @property
    def sequence(self) -> str:
        """That of its frames, see :class:`Frame`."""
        return str(Path(self.name).absolute().parent)

    @property
    def number(self) -> int | None:
        """Number of frames that the header declares, ``None`` if it does not.

        It is for progress bars: headers of intact videos can be wrong.
        """
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
        image (ImageLike): As :func:`~rmpe_plugin.utils.images.to_bgr` accepts it.
        index (int): Its ``image_id``.
    """

    def __init__(self, image: ImageLike, index: int) -> None:
        self.image = image
        self.image_id: int = index
        self.name = f'array {index}'

    def frames(self) -> Iterator[Frame]:
        """Convert the image to BGR."""
        try:
            yield Frame(self.image_id, self.name, to_bgr(self.image))
        except (OSError, ValueError) as error:
            yield Frame(self.image_id, self.name, error=str(error))


class ImageSource(FrameSource):
    """An image file.

    Args:
        path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.name = str(path)
        self.image_id: int | str = image_id_of(path)

    def frames(self) -> Iterator[Frame]:
        """Read the file."""
        yield read_image(self.path, self.image_id)

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make a function that reads the file."""
        yield partial(read_image, self.path, self.image_id)


class WebImageSource(FrameSource):
    """An image by address, which is downloaded into memory when it is read.

    Args:
        url (str): The address, ``http://`` or ``https://``.
    """

    def __init__(self, url: str) -> None:
        self.url, self.name = url, public_name(url)
        self.image_id: int | str = image_id_of(Path(self.name))

    def frames(self) -> Iterator[Frame]:
        """Download the image."""
        yield self._read()

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make a function that downloads the image."""
        yield self._read

    def _read(self) -> Frame:
        """Download the image, or tell why it cannot be read."""
        try:
            content = download(self.url)
            if count_frames(BytesIO(content)) > 1:
                raise OSError('an animation by address is unsupported: download it')
            return Frame(self.image_id, self.name, load_image(content))
        except OSError as error:
            return Frame(self.image_id, self.name, error=str(error))


class MovingSource(FrameSource):
    """A source of several frames.

    Args:
        name (str): Name for messages. The stem of a file is the first part of its image
            ids.
        prefix_ids (bool): Whether image ids are ``'stem/index'`` instead of the frame
            index. Defaults to ``False``.
    """

    def __init__(self, name: str, prefix_ids: bool = False) -> None:
        self.name, self.prefix_ids = name, prefix_ids

    @property
    def sequence(self) -> str:
        """That of its frames, see :class:`Frame`."""
        return self.name

    @property
    def stem(self) -> str:
        """Name of the video in results."""
        return Path(self.name).stem

    def id_of(self, index: int) -> int | str:
        """Image id of a frame.

        Args:
            index (int): Index of the frame.

        Returns:
            int | str: The index, or ``'stem/index'``.
        """
        return f'{self.stem}/{index}' if self.prefix_ids else index

    @abstractmethod
    def timeline(self) -> Timeline:
        """Decode all frames, without keeping their images.

        Returns:
            Timeline: As many frames as :meth:`frames` has indices.

        Raises:
            ValueError: If no frame can be decoded.
        """

    def _frame(
        self,
        index: int,
        image: np.ndarray | None = None,
        error: str = '',
        fps: float = 0.0,
        time: float | None = None,
    ) -> Frame:
        """Build the frame of an index."""
        name = f'{self.name} frame {index}'
        return Frame(self.id_of(index), name, image, error, self.name, fps, time)


class VideoSource(MovingSource):
    """A video file, a stream or a camera.

    Args:
        source (Path | str | int): The file, the address of the stream, or the index of
            the camera.
        name (str): As :class:`MovingSource`'s.
        prefix_ids (bool): As :class:`MovingSource`'s. Defaults to ``False``.
    """

    def __init__(
        self, source: Path | str | int, name: str, prefix_ids: bool = False
    ) -> None:
        super().__init__(name, prefix_ids)
        self.path = source if isinstance(source, Path) else None
        self._source = str(source) if isinstance(source, Path) else source

    @cached_property
    def number(self) -> int | None:
        """Number of frames in the header; ``None`` for a stream or a camera."""
        if self.path is None:
            return None
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            return 1
        number = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return number if number > 0 else None

    def frames(self) -> Iterator[Frame]:
        """Decode the video until its end.

        A run of undecodable frames gives one frame with an error, and so does the end
        of a file that is cut off, and a stream or camera without frames.
        """
        capture = cv2.VideoCapture(self._source)
        fps = self._frame_rate(capture) if capture.isOpened() else 0.0
        following, time = 0, 0.0
        for index, time in self._grab(capture, fps):
            if index > following:
                yield self._frame(following, error=_undecodable(index - following))
            success, image = capture.retrieve()
            if success:
                yield self._frame(index, image, fps=fps, time=time)
            else:
                yield self._frame(index, error=_undecodable(1))
            following = index + 1
        if error := self._error_at_end(capture, following, time, fps):
            yield self._frame(following, error=error)

    def timeline(self) -> Timeline:
        """Decode the video until its end, see :meth:`MovingSource.timeline`."""
        capture = cv2.VideoCapture(self._source)
        fps = self._frame_rate(capture) if capture.isOpened() else 0.0
        known: dict[int, float] = {}
        size, errors, following, time = (0, 0), [], 0, 0.0
        for index, time in self._grab(capture, fps):
            if index > following:
                errors.append(f'frame {following}: {_undecodable(index - following)}')
            if size == (0, 0):
                success, image = capture.retrieve()
                size = image.shape[1::-1] if success else size
            known[index] = time
            following = index + 1
        if error := self._error_at_end(capture, following, time, fps):
            errors.append(error)
        if not known:
            raise ValueError(f'{self.name} cannot be read as a video: {errors[0]}')
        times = np.interp(np.arange(following), [*known], [*known.values()])
        return _make_timeline(times, capture.get(cv2.CAP_PROP_FPS), size, errors)

    def _grab(
        self, capture: cv2.VideoCapture, fps: float
    ) -> Iterator[tuple[int, float]]:
        """Advance to each decodable frame: its index and time in seconds."""
        index = failed = 0
        clock = _Clock(fps)
        while failed <= (0 if self.path is None else _PATIENCE):
            if capture.grab():
                yield index, clock.read(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
                failed = 0
            else:
                failed += 1
            index += 1

    def _frame_rate(self, capture: cv2.VideoCapture) -> float:
        """Frame rate of the header, or a higher one that the first frames have."""
        declared = capture.get(cv2.CAP_PROP_FPS)
        declared = declared if 0 < declared <= _MAX_FPS else 0.0
        if self.path is None:
            return declared
        start = cv2.VideoCapture(self._source)
        times: list[float] = []
        while len(times) < _MEASURED and start.grab():
            times.append(start.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        steps = np.diff(times)
        shortest = min(steps[steps > 0].tolist(), default=np.inf)
        # Containers round times to milliseconds.
        measured = min(1 / shortest, _MAX_MEASURED_FPS)
        return measured if measured > 1.1 * declared else declared

    def _error_at_end(
        self, capture: cv2.VideoCapture, decoded: int, time: float, fps: float
    ) -> str:
        """Why a video ends too early, after its last frame; ``''`` if it does not."""
        following = time + 1.5 / (fps or _DEFAULT_FPS)
        if self.path is None:
            if not decoded:
                return 'cannot be opened, or has no frames'
            declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            if fps and decoded + 1 < declared and following < declared / fps:
                return f'the stream ended early: {decoded} frames were decoded'
            return ''
        missing = (self.number or 0) - decoded
        try:
            cut = is_cut(self.path)
            end = edited_seconds(self.path) if missing > 1 else None
        except OSError as error:
            return f'{UNREADABLE}: {error}'
        if cut:
            return f'the file is cut off or damaged: {decoded} frames were decoded'
        if not decoded:
            return UNREADABLE
        if end is None or following >= end:
            return ''
        return f'the last {missing} frames could not be decoded'


class AnimationSource(MovingSource):
    """An image file with several frames or pages: GIF, WebP, APNG, AVIF or TIFF.

    Args:
        path (Path): The file.
        prefix_ids (bool): As :class:`MovingSource`'s. Defaults to ``False``.
    """

    def __init__(self, path: Path, prefix_ids: bool = False) -> None:
        super().__init__(str(path), prefix_ids)
        self.path: Path = path

    @cached_property
    def number(self) -> int:
        """Number of frames in the file."""
        return count_frames(self.path)

    def frames(self) -> Iterator[Frame]:
        """Decode the frames; the first error ends them."""
        fps = self._finest_rate()
        index, time = 0, 0.0
        try:
            for image, duration in load_frames(self.path):
                yield self._frame(index, image, fps=fps, time=time)
                index, time = index + 1, time + duration
        except OSError as error:
            yield self._frame(index, error=str(error))

    def timeline(self) -> Timeline:
        """Decode all frames, see :meth:`MovingSource.timeline`."""
        times: list[float] = []
        size, errors, time = (0, 0), [], 0.0
        try:
            for image, duration in load_frames(self.path):
                size = size if times else image.shape[1::-1]
                times.append(time)
                time += duration
        except OSError as error:
            errors.append(str(error))
        if not times:
            raise ValueError(f'{self.name} cannot be read as a video: {errors[0]}')
        return _make_timeline(np.array(times), len(times) / time, size, errors)

    def _finest_rate(self) -> float:
        """Frame rate at which the shortest duration is one frame."""
        durations = []
        with suppress(OSError):
            for _, duration in load_frames(self.path):
                durations.append(duration)
        return min(1 / min(durations), _MAX_FPS) if durations else 0.0


class _Clock:
    """Times of frames, increasing also where those of the file are missing or restart.

    Args:
        fps (float): Frame rate for missing times; 0 if it is unknown.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / (fps or _DEFAULT_FPS)
        self._offset, self._previous = 0.0, -self._step

    def read(self, time: float) -> float:
        """Time of the next frame, from that of the file, in seconds."""
        following = self._previous + self._step
        if time + self._offset > self._previous:
            following = time + self._offset
        elif time > 0:  # the file restarts, as two recordings that were joined
            self._offset = following - time
        self._previous = following
        return following


def _make_timeline(
    times: np.ndarray, fps: float, size: tuple[int, int], errors: list[str]
) -> Timeline:
    """Describe times (F,), with the header's frame rate, or the mean if they differ."""
    start = times - times[0]
    fps = fps if 0 < fps < np.inf else 0.0
    is_variable = len(times) > 1 and bool(
        np.abs(start * fps - np.arange(len(times))).max() > 0.5
    )
    if is_variable:
        fps = float((len(times) - 1) / start[-1])
        steps = np.arange(len(times)) / fps
        is_variable = bool(np.abs(start - steps).max() * fps > 0.5)
    return Timeline(times, fps, is_variable, size, tuple(errors))


def _undecodable(number: int) -> str:
    return f'{number} consecutive frames could not be decoded'


def _identity(frame: Frame) -> Frame:
    return frame


def open_source(
    item: ImageLike | Path | str | FrameSource,
    index: int = 0,
    prefix_ids: bool = False,
) -> FrameSource:
    """Open an image, a file, an address or a camera.

    Args:
        item (ImageLike | Path | str | FrameSource): An image in memory, the path of a
            file, an address, or a camera: ``'webcam'``, the first one, or
            ``'webcam:INDEX'``. A source is returned as it is.
            Files that are not named as videos are images if Pillow knows them. An
            address that does not end as an image is a stream.
        index (int): ``image_id`` of an image in memory. Defaults to 0.
        prefix_ids (bool): As :class:`MovingSource`'s. Defaults to ``False``.

    Returns:
        FrameSource: The source.

    Raises:
        ValueError: If the index of a camera is not a number.
    """
    if isinstance(item, FrameSource):
        return item
    if not isinstance(item, (str, Path)):
        return ArraySource(item, index)
    if is_camera(item):
        return _open_camera(str(item), prefix_ids)
    if is_address(item):
        return _open_address(str(item), prefix_ids)
    path = Path(item)
    kind = media_type(path)
    if kind == 'video' or (not kind and not _is_image(path)):
        return VideoSource(path, str(path), prefix_ids)
    if count_frames(path) > 1:
        return AnimationSource(path, prefix_ids)
    return ImageSource(path)


def is_camera(item: str | Path) -> bool:
    """Check whether an input is a camera.

    Args:
        item (str | Path): The input.

    Returns:
        bool: Whether it is ``'webcam'`` or ``'webcam:INDEX'``.
    """
    return str(item).partition(':')[0] == 'webcam'


def _open_camera(name: str, prefix_ids: bool) -> VideoSource:
    """Open a camera by its name."""
    try:
        index = int(name.partition(':')[2] or 0)
    except ValueError as error:
        raise ValueError(
            f"a camera must be 'webcam' or 'webcam:INDEX', got {name!r}"
        ) from error
    return VideoSource(index, name, prefix_ids)


def _open_address(url: str, prefix_ids: bool) -> FrameSource:
    """Open an image or a stream by its address."""
    if is_image_address(url):
        return WebImageSource(url)
    return VideoSource(url, public_name(url), prefix_ids)


def _is_image(path: Path) -> bool:
    """Whether a file is an image, by its content."""
    try:
        with Image.open(path):
            return True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
