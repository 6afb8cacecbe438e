# SPDX-License-Identifier: Apache-2.0
"""The frames of an input, read where they are needed."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile

from rmpe_plugin.inference import Frame, FrameSource, open_source
from rmpe_plugin.utils.animations import count_frames
from rmpe_plugin.utils.images import load_image

from .items import Item, Row
from .storage import open_storage, storage_errors


class ItemSource(FrameSource):
    """The frames of an input, which is opened when they are read.

    ``name`` and ``video`` of a frame are the path of the input, and ``image_id`` is its
    index. An image is so a video of one frame, which has nothing to do with the images
    that happen to be processed together.

    Args:
        item (Item): The input.
    """

    def __init__(self, item: Item) -> None:
        self.item = item
        self.image_id: str = item.path
        self.name = item.path

    @property
    def sequence(self) -> str:
        """That of its frames, see :class:`FrameSource`."""
        return self.item.path

    def frames(self) -> Iterator[Frame]:
        """Read the frames, see :class:`FrameSource`."""
        for read in self.reads():
            yield read()

    def reads(self) -> Iterator[Callable[[], Frame]]:
        """Make functions that read the frames, see :class:`FrameSource`."""
        path = self.item.path
        if self.item.is_local_file:
            for read in open_source(Path(self.item.file)).reads():
                yield partial(_renamed, path, read)
        elif self.item.is_video:
            yield from self._copied_video()
        elif self.item.row is not None:
            yield self._row(self.item.file, self.item.row)
        else:
            yield partial(_decode, path, partial(read_bytes, self.item))

    def _row(self, file: str, row: Row) -> Callable[[], Frame]:
        """Read the content of a row. Rows follow each other: a group is read once."""
        try:
            value = _group(file, row.column, row.group)[row.index]
        except (OSError, ValueError) as error:
            return partial(_failed, self.item.path, str(error))
        # Hugging Face's data sets have a struct of bytes and path.
        content = value['bytes'] if isinstance(value, dict) else value
        return partial(_decode, self.item.path, lambda: content or b'')

    def _copied_video(self) -> Iterator[Callable[[], Frame]]:
        """Frames of a video that is copied to this machine; decoders need a file."""
        suffix = PurePosixPath(self.item.path).suffix
        with NamedTemporaryFile(prefix='rmpe-', suffix=suffix) as file:
            try:
                copy_to(self.item, file.name)
            except OSError as error:
                yield partial(_failed, self.item.path, str(error))
                return
            for read in open_source(Path(file.name)).reads():
                yield partial(_renamed, self.item.path, read)


def read_bytes(item: Item) -> bytes:
    """Read the content of an input.

    Args:
        item (Item): A file, or a member of a tar file.

    Returns:
        bytes: The content.

    Raises:
        OSError: If it cannot be read.
    """
    start, end = item.span or (None, None)
    with storage_errors(item.file, 'read'):
        filesystem, path = open_storage(item.file)
        return filesystem.cat_file(path, start=start, end=end)


def copy_to(item: Item, path: str) -> None:
    """Copy an input to a file.

    Args:
        item (Item): A file, or a member of a tar file.
        path (str): The file.

    Raises:
        OSError: If it cannot be read or written.
    """
    if item.span:
        Path(path).write_bytes(read_bytes(item))
        return
    with storage_errors(item.file, 'read'):
        filesystem, source = open_storage(item.file)
        filesystem.get_file(source, path)


@lru_cache(maxsize=1)
def _group(file: str, column: str, group: int) -> list:
    """Values of a column in a row group of a Parquet file."""
    import pyarrow.parquet as pq

    with storage_errors(file, 'read'):
        filesystem, path = open_storage(file)
        stream = filesystem.open(path)
    with stream:
        table = pq.ParquetFile(stream).read_row_group(group, columns=[column])
    return table[column].to_pylist()


def _decode(path: str, read: Callable[[], bytes]) -> Frame:
    """Decode an image, or tell why it cannot be read."""
    try:
        content = read()
        if count_frames(BytesIO(content)) > 1:
            raise OSError('an animation is supported only as a local file')
        return Frame(0, path, load_image(content), video=path)
    except OSError as error:
        return _failed(path, str(error))


def _failed(path: str, error: str) -> Frame:
    """The frame of an input that cannot be read."""
    return Frame(0, path, error=error, video=path)


def _renamed(path: str, read: Callable[[], Frame]) -> Frame:
    """Read a frame and name it by its input."""
    frame = read()
    frame.image_id = frame.image_id if frame.video else 0
    frame.name = frame.video = path
    return frame
