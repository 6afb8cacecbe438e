# SPDX-License-Identifier: Apache-2.0
"""The frames of all inputs: files, folders, globs, videos, cameras and arrays."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

import numpy as np

from .frame import Frame
from .frame_sources import (
    ArraySource,
    FrameSource,
    ImageSource,
    VideoSource,
    media_type,
    open_camera,
    open_file,
)

Inputs = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]


class Frames:
    """All frames of the inputs, in order. A frame that cannot be read has an error.

    Args:
        inputs (Inputs): Path of an image or a video, a folder, a glob, ``'webcam'`` or
            ``'webcam:1'``, an array as :func:`~rmpe_plugin.apis.frame.to_bgr` accepts
            it, or a sequence of these. A folder stands for the images and videos in
            it, without its subfolders.

    Raises:
        FileNotFoundError: If a path does not exist, or if a folder or glob contains no
            images or videos.
        ValueError: If two images or videos have the same id in results, or a camera's
            index is not a number.

    Example:
        >>> frames = Frames([np.zeros((4, 6, 3), np.uint8)])
        >>> frames.number
        1
        >>> [frame.image.shape for frame in frames]
        [(4, 6, 3)]
    """

    def __init__(self, inputs: Inputs) -> None:
        items = _expand(inputs)
        # Frame indices identify the frames of a single video only.
        prefix_ids = len(items) > 1
        self.sources = [
            _open(item, index, prefix_ids) for index, item in enumerate(items)
        ]
        videos = [s.stem for s in self.sources if isinstance(s, VideoSource)]
        repeated = [str(i) for i, n in Counter([*self.ids, *videos]).items() if n > 1]
        if repeated:
            raise ValueError(
                f'two inputs have the same image id in results: {", ".join(repeated)}'
            )

    @property
    def ids(self) -> list[int | str]:
        """Ids of the images; frames of videos are not included."""
        return [s.image_id for s in self.sources if s.image_id is not None]

    @property
    def files(self) -> list[tuple[int | str, Path]]:
        """Id and path of each image file; videos are not included."""
        return [
            (s.image_id, s.path) for s in self.sources if isinstance(s, ImageSource)
        ]

    @property
    def paths(self) -> list[Path]:
        """Paths of all image and video files."""
        return [source.path for source in self.sources if source.path is not None]

    @property
    def number(self) -> int | None:
        """Number of frames; ``None`` if a camera or stream is among the inputs."""
        numbers = [source.number for source in self.sources]
        known = [number for number in numbers if number is not None]
        return sum(known) if len(known) == len(numbers) else None

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames.

        Yields:
            Frame: A frame with an image, or with the error why it cannot be read.
        """
        for source in self.sources:
            yield from source.frames()

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make functions that read the frames and can run in several threads.

        Yields:
            Callable: See :meth:`FrameSource.reads`.
        """
        for source in self.sources:
            yield from source.reads()


def _expand(inputs: Inputs) -> list[np.ndarray | Path | str]:
    """List the arrays, files and cameras (as str) of the inputs."""
    if isinstance(inputs, (str, Path, np.ndarray)):
        inputs = [inputs]
    items: list[np.ndarray | Path | str] = []
    for item in inputs:
        if isinstance(item, np.ndarray) or _is_camera(item):
            items.append(item)
        else:
            items += _find_files(str(item))
    return items


def _is_camera(item: str | Path) -> bool:
    return str(item).partition(':')[0] == 'webcam'


def _find_files(pattern: str) -> list[Path]:
    """List the files of a path, a folder or a glob."""
    path = Path(pattern)
    if path.is_dir():
        files = [p for p in path.iterdir() if media_type(p) in ('image', 'video')]
    elif path.exists():
        return [path]
    elif has_magic(pattern):
        files = [Path(p) for p in glob(pattern, recursive=True) if Path(p).is_file()]
    else:
        raise FileNotFoundError(f'{pattern} does not exist')
    if not files:
        raise FileNotFoundError(f'{pattern} contains no images or videos')
    return sorted(files)


def _open(item: np.ndarray | Path | str, index: int, prefix_ids: bool) -> FrameSource:
    """Open one array, file or camera."""
    if isinstance(item, np.ndarray):
        return ArraySource(item, index)
    if _is_camera(item):
        return open_camera(str(item), prefix_ids)
    return open_file(Path(item), prefix_ids)
