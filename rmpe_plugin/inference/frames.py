# SPDX-License-Identifier: Apache-2.0
"""The frames of all inputs: files, folders, lists, addresses, cameras and arrays."""

import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

import torch
from mmengine.logging import print_log

from rmpe_plugin.utils.images import ImageLike

from .frame import Frame
from .frame_sources import ImageSource, MovingSource, is_camera, open_source
from .media_types import media_type
from .web import is_address

Inputs = str | Path | ImageLike | Sequence[str | Path | ImageLike]
# Number of files in a folder that are named as left out.
_NAMED = 5


class Frames:
    """All frames of the inputs, in order. A frame that cannot be read has an error.

    Args:
        inputs (Inputs): Path of an image or a video, a folder, a glob, ``'webcam'`` or
            ``'webcam:1'``, the address of an image or a stream; a text file ``.txt`` of
            these, one a line, or ``'-'`` for such a list on the standard input; an
            array, tensor or image of Pillow as
            :func:`~rmpe_plugin.utils.images.to_bgr` accepts it, or tensors (N, C, H,
            W); or a sequence of these. What a list names and does not exist is an error
            when it is read. A folder stands for the images and videos in it, without
            its subfolders, in the natural order of their names; other files in it are
            logged. A GIF, WebP, APNG, AVIF or
            TIFF of several frames or pages is a video.

    Raises:
        FileNotFoundError: If a path does not exist, or if a folder or glob contains no
            images or videos.
        ValueError: If two images or videos have the same id in results, a camera's
            index is not a number, or a list is empty or not in UTF-8.

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
            open_source(item, index, prefix_ids) for index, item in enumerate(items)
        ]
        videos = [s.stem for s in self.sources if isinstance(s, MovingSource)]
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
        """Number of frames that headers declare, for progress bars.

        ``None`` if one of them does not declare it, such as a camera.
        """
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


def _expand(inputs: Inputs) -> list[ImageLike | Path | str]:
    """List the images, files, and cameras and addresses (as str) of the inputs."""
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        inputs = [inputs]
    items: list[ImageLike | Path | str] = []
    for item in inputs:
        if isinstance(item, torch.Tensor) and item.ndim == 4:
            items += [*item]
        elif not isinstance(item, (str, Path)):
            items.append(item)
        elif _is_list(item):
            items += _find_listed(item)
        else:
            items += _find(item)
    return items


def _is_list(item: str | Path) -> bool:
    """Whether an input is a list of inputs."""
    path = Path(item)
    return str(item) == '-' or (path.suffix.lower() == '.txt' and path.is_file())


def _find_listed(source: str | Path) -> list[Path | str]:
    """List the inputs in a text file or on the standard input."""
    try:
        # Editors of Windows write a byte order mark.
        text = (
            sys.stdin.read()
            if str(source) == '-'
            else Path(source).read_text('utf-8-sig')
        )
    except UnicodeDecodeError as error:
        raise ValueError(f'{source} must be a list in UTF-8: {error}') from error
    items: list[Path | str] = []
    for name in filter(None, map(str.strip, text.splitlines())):
        try:
            items += _find(name)
        except FileNotFoundError:
            items.append(Path(name))  # an error when it is read, after the others
    if not items:
        raise ValueError(f'{source} contains no names of images or videos')
    return items


def _find(item: str | Path) -> list[Path | str]:
    """List the files of an input that is no array."""
    return [item] if is_camera(item) or is_address(item) else [*_find_files(str(item))]


def _find_files(pattern: str) -> list[Path]:
    """List the files of a path, a folder or a glob."""
    path = Path(pattern)
    if path.is_dir():
        files = _list_folder(path)
    elif path.exists():
        return [path]
    elif has_magic(pattern):
        files = [Path(p) for p in glob(pattern, recursive=True) if Path(p).is_file()]
    else:
        raise FileNotFoundError(f'{pattern} does not exist')
    if not files:
        raise FileNotFoundError(f'{pattern} contains no images or videos')
    return sorted(files, key=_natural_order)


def _natural_order(path: Path) -> tuple[list, Path]:
    """Sorting key by which 2.jpg is before 10.jpg."""
    numbers = [
        [int(text) if text.isdecimal() else text for text in re.split(r'(\d+)', part)]
        for part in path.parts
    ]
    return numbers, path


def _list_folder(folder: Path) -> list[Path]:
    """List the images and videos in a folder, and log which files are left out."""
    files = [p for p in folder.iterdir() if p.is_file() and p.name[0] != '.']
    others = sorted(path.name for path in files if not media_type(path))
    if others:
        more = f' and {len(others) - _NAMED} more' if len(others) > _NAMED else ''
        print_log(
            f'{folder}: not named as images or videos, and left out: '
            f'{", ".join(others[:_NAMED])}{more}',
            logger='current',
            level=logging.WARNING,
        )
    return [path for path in files if media_type(path)]
