# SPDX-License-Identifier: Apache-2.0
"""Pictures to look for people in: files, folders, globs, videos, cameras and arrays."""

import mimetypes
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from itertools import count
from pathlib import Path

import cv2
import mmcv
import numpy as np
from PIL import Image

Inputs = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]

# OpenCV's code that makes BGR of an image of so many channels.
TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}


@dataclass(eq=False)
class Frame:
    """One picture, or why there is none.

    Args:
        image_id (int | str): COCO's ``image_id`` in results.
        name (str): What to call it: a path, for a video's frame with its number.
        image (np.ndarray, optional): BGR (H, W, 3), uint8. Defaults to ``None``.
        error (str): Why there is no image. Defaults to ``''``.
        video (str): The video it is from; ``''`` of a picture. Defaults to ``''``.
        fps (float): Of a video, frames a second. Defaults to 0.
    """

    image_id: int | str
    name: str
    image: np.ndarray | None = None
    error: str = ''
    video: str = ''
    fps: float = 0.0


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Bring an array into the form that detectors and pose estimators take.

    Args:
        image (np.ndarray): Grey (H, W) or (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4),
            uint8.

    Returns:
        np.ndarray: BGR (H, W, 3), uint8.

    Raises:
        ValueError: For another dtype or shape.
    """
    image = np.atleast_3d(image)
    channels = image.shape[-1]
    if image.dtype != np.uint8 or image.ndim != 3 or channels not in (1, 3, 4):
        raise ValueError(
            'an image must be uint8, grey (H, W), BGR (H, W, 3) or BGRA (H, W, 4), got '
            f'{image.dtype} {image.shape}'
        )
    if not image.size:
        raise ValueError(f'an image must have pixels, got {image.shape}')
    return image if channels == 3 else cv2.cvtColor(image, TO_BGR[channels])


def image_id_of(path: Path) -> int | str:
    """COCO's id of an image file: COCO names its files by their ids.

    Args:
        path (Path): The file.

    Returns:
        int | str: The number that the file's name is, or else the name.
    """
    return int(path.stem) if path.stem.isdecimal() else path.name


def read_picture(path: Path, image_id: int | str) -> Frame:
    """Read an image file.

    Args:
        path (Path): The file.
        image_id (int | str): COCO's ``image_id`` in results.

    Returns:
        Frame: The picture, or why it could not be read.
    """
    try:
        # OpenCV fills what a truncated file lacks with grey and says nothing.
        image = mmcv.imread(str(path), backend='pillow')
        return Frame(image_id, str(path), image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Frame(image_id, str(path), error=f'{type(error).__name__}: {error}')


class Frames:
    """Every picture of some inputs, in order; what cannot be read is reported in place.

    Args:
        inputs (Inputs): A path of a picture or a video, a folder, a glob,
            ``'webcam'`` or ``'webcam:1'``, an array as :func:`to_bgr` takes it, or
            several of these. Of a folder, all pictures and videos in it are taken, not
            those of folders in it.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder or glob has nothing.
        ValueError: If two pictures or videos would have the same id in results.
    """

    def __init__(self, inputs: Inputs) -> None:
        single = isinstance(inputs, (str, Path, np.ndarray))
        self.sources: list[_Source] = []
        for given in [inputs] if single else inputs:
            if isinstance(given, np.ndarray):
                self.sources.append(_Array(given, len(self.sources)))
            elif str(given).partition(':')[0] == 'webcam':
                camera = int(str(given).partition(':')[2] or 0)
                self.sources.append(_Video(camera, str(given)))
            else:
                self.sources += [_open(path) for path in _expand(str(given))]
        if len(self.sources) > 1:
            for source in self.sources:
                source.among_others = True
        videos = [Path(s.name).stem for s in self.sources if isinstance(s, _Video)]
        times = Counter([*self.ids, *videos])
        repeated = [str(i) for i, number in times.items() if number > 1]
        if repeated:
            raise ValueError(
                f'two inputs have the same image id in results: {", ".join(repeated)}'
            )

    @property
    def ids(self) -> list[int | str]:
        """The ids that are known beforehand: those of pictures, not of videos."""
        return [s.image_id for s in self.sources if not isinstance(s, _Video)]

    @property
    def files(self) -> list[tuple[int | str, Path]]:
        """Id and path of the pictures that are files, not videos."""
        return [(s.image_id, s.path) for s in self.sources if isinstance(s, _Picture)]

    @property
    def paths(self) -> list[Path]:
        """The files that are read, pictures and videos."""
        return [source.path for source in self.sources if source.path is not None]

    @property
    def number(self) -> int | None:
        """How many pictures there are; ``None`` with a camera."""
        numbers = [source.number for source in self.sources]
        return None if None in numbers else sum(numbers)

    def __iter__(self) -> Iterator[Frame]:
        """Read them.

        Yields:
            Frame: A picture, or a frame that says why it could not be read.
        """
        for source in self.sources:
            yield from source.frames()


def _expand(given: str) -> list[Path]:
    """The files of a path, a folder or a glob."""
    path = Path(given)
    if path.is_dir():
        found = [p for p in path.iterdir() if _kind(p) in ('image', 'video')]
    elif path.exists():
        return [path]
    elif has_magic(given):
        found = [Path(p) for p in glob(given, recursive=True) if Path(p).is_file()]
    else:
        raise FileNotFoundError(f'{given} does not exist')
    if not found:
        raise FileNotFoundError(f'{given} holds no pictures and no videos')
    return sorted(found)


def _kind(path: Path) -> str:
    """``'image'``, ``'video'`` or something else, by the file's name."""
    return (mimetypes.guess_type(path.name, strict=False)[0] or '').partition('/')[0]


def _open(path: Path) -> '_Source':
    """A picture or, whatever is no picture by its name, a video."""
    if _kind(path) == 'image':
        return _Picture(path)
    return _Video(str(path), str(path))


class _Source(ABC):
    """Where frames come from."""

    number: int | None = 1
    path: Path | None = None
    # Ids of a video's frames tell the video too where it is not alone.
    among_others = False

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Read them."""


class _Array(_Source):
    def __init__(self, image: np.ndarray, index: int) -> None:
        self.image, self.image_id = image, index

    def frames(self) -> Iterator[Frame]:
        name = f'array {self.image_id}'
        try:
            yield Frame(self.image_id, name, to_bgr(self.image))
        except ValueError as error:
            yield Frame(self.image_id, name, error=str(error))


class _Picture(_Source):
    def __init__(self, path: Path) -> None:
        self.path, self.image_id = path, image_id_of(path)

    def frames(self) -> Iterator[Frame]:
        yield read_picture(self.path, self.image_id)


class _Video(_Source):
    def __init__(self, source: str | int, name: str) -> None:
        self.source, self.name = source, name
        self.path = Path(source) if isinstance(source, str) else None

    @cached_property
    def number(self) -> int | None:
        """How many frames its header says there are; a camera and a stream say none."""
        if self.path is None:
            return None
        capture = cv2.VideoCapture(self.source)
        if not capture.isOpened():
            return 1
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return promised if promised > 0 else None

    def frames(self) -> Iterator[Frame]:
        capture, number = cv2.VideoCapture(self.source), self.number
        if not capture.isOpened():
            yield self._frame(0, error='neither a picture nor a video that can be read')
            return
        fps = capture.get(cv2.CAP_PROP_FPS)
        unread = []
        for index in count() if number is None else range(number):
            good, image = capture.read()
            if good:
                yield from self._report(unread)
                unread = []
                yield self._frame(index, image=image, fps=fps)
            elif number is None:
                break
            else:
                unread.append(index)
        # Headers are often wrong by one.
        if len(unread) > 1:
            yield from self._report(unread)

    def _report(self, unread: list[int]) -> Iterator[Frame]:
        """One failure for frames in a row that could not be read."""
        if unread:
            error = f'no image; {len(unread)} frames in a row could not be read'
            yield self._frame(unread[0], error=error)

    def _frame(self, index: int, **kwargs) -> Frame:
        image_id = f'{Path(self.name).stem}/{index}' if self.among_others else index
        return Frame(image_id, f'{self.name} frame {index}', video=self.name, **kwargs)
