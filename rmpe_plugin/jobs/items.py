# SPDX-License-Identifier: Apache-2.0
"""The inputs of a job: files, members of tar files and rows of Parquet files."""

import logging
import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fsspec import AbstractFileSystem
from mmengine.logging import print_log

from rmpe_plugin.deploy.requirements import require
from rmpe_plugin.inference import media_type

from .storage import is_remote, open_storage, storage_errors

# Number of files that are named as left out.
_NAMED = 5


class Row(NamedTuple):
    """The place of an image in a Parquet file.

    Attributes:
        column (str): Name of the column.
        group (int): Index of the row group.
        index (int): Index of the row in its group.
    """

    column: str
    group: int
    index: int


class Item(NamedTuple):
    """One image or video.

    Attributes:
        path (str): Its identity in the output: an absolute path or an address,
            ``'FILE.tar/MEMBER'`` or ``'FILE.parquet/ROW'``.
        file (str): The file that contains it.
        size (int): Bytes, 0 if unknown.
        span (tuple[int, int], optional): First byte and end of a member of a tar file.
            Defaults to ``None``.
        row (Row, optional): Place in a Parquet file. Defaults to ``None``.
    """

    path: str
    file: str
    size: int = 0
    span: tuple[int, int] | None = None
    row: Row | None = None

    @property
    def is_video(self) -> bool:
        """Whether it is a video by its name."""
        return media_type(PurePosixPath(self.path)) == 'video'

    @property
    def is_local_file(self) -> bool:
        """Whether it is a whole file of this machine."""
        return not (self.span or self.row or is_remote(self.file))


Inputs = str | Path | Sequence[str | Path]


def find_items(inputs: Inputs, column: str | None = None) -> list[Item]:
    """List the images and videos of a job.

    Args:
        inputs (Inputs): Files, folders, globs, or addresses of these that fsspec opens,
            such as ``'s3://BUCKET/FOLDER'``; one or several. A folder includes its
            subfolders. A ``.txt`` file, or ``'-'`` for the standard input, is a list of
            files, one a line. Of a ``.tar`` file, the images and videos in it are
            inputs; of a ``.parquet`` file, the rows.
        column (str, optional): Column of the Parquet files: names of files, or contents
            of images. Defaults to ``None``.

    Returns:
        list[Item]: Each input once, sorted by path.

    Raises:
        OSError: If an input does not exist or cannot be listed.
        ValueError: If nothing is found, a list is not in UTF-8, a tar file is
            compressed, or a Parquet file has no such column.
    """
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    found = [item for name in names for item in _find(str(name), column)]
    if not found:
        raise ValueError(f'no images or videos in {", ".join(map(str, names))}')
    items = {item.path: item for item in found}
    if len(items) < len(found):
        _warn(f'{len(found) - len(items)} inputs are given twice and processed once')
    return [items[path] for path in sorted(items)]


def _find(name: str, column: str | None) -> list[Item]:
    """List the inputs of one argument."""
    if name == '-':
        return _of_names(sys.stdin.read(), column)
    with storage_errors(name, 'listed'):
        filesystem, path = open_storage(name)
        files = _files(filesystem, path)
        is_list = [*files] == [path] and path.lower().endswith('.txt')
        content = filesystem.cat_file(path) if is_list else b''
    if is_list:
        return _of_names(_read_list(name, content), column)
    if not files:
        raise FileNotFoundError(f'{name} does not exist, or contains no files')
    if [*files] == [path]:
        return _open(filesystem, path, files[path], column)
    return _of_folder(name, filesystem, files, column)


def _read_list(name: str, content: bytes) -> str:
    """Decode a list."""
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{name} must be a list in UTF-8: {error}') from error


def _files(filesystem: AbstractFileSystem, path: str) -> dict[str, int]:
    """Paths and sizes of a file, of a folder and its subfolders, or of a glob."""
    if has_magic(path) and not filesystem.exists(path):
        found = filesystem.glob(path, detail=True)
    else:
        found = filesystem.find(path, detail=True)
    return {
        path: info['size'] or 0
        for path, info in found.items()
        if info['type'] != 'directory'  # a link to a file is 'other'
    }


def _of_folder(
    name: str,
    filesystem: AbstractFileSystem,
    files: dict[str, int],
    column: str | None,
) -> list[Item]:
    """List the inputs in a folder or glob, and log which files are left out."""
    items: list[Item] = []
    others = []
    for path, size in files.items():
        file = PurePosixPath(path)
        archives = ('.tar', '.parquet') if column else ('.tar',)
        if file.name.startswith('.'):
            continue
        if media_type(file) or file.suffix.lower() in archives:
            items += _open(filesystem, path, size, column)
        else:
            others.append(file.name)
    if others:
        more = f' and {len(others) - _NAMED} more' if len(others) > _NAMED else ''
        _warn(f'{name}: left out: {", ".join(sorted(others)[:_NAMED])}{more}')
    return items


def _open(
    filesystem: AbstractFileSystem, path: str, size: int, column: str | None
) -> list[Item]:
    """List the inputs of a file that exists."""
    name = _address(filesystem, path)
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == '.tar':
        return [*_members(filesystem, path, name)]
    if suffix == '.parquet':
        return [*_rows(filesystem, path, name, column)]
    return [Item(name, name, size)]


def _address(filesystem: AbstractFileSystem, path: str) -> str:
    """The absolute path of a local file, the address of another one."""
    name = filesystem.unstrip_protocol(path)
    return path if name.startswith('file://') else name


def _of_names(text: str, column: str | None) -> list[Item]:
    """List the files that a list names, without looking whether they exist."""
    names = filter(None, map(str.strip, text.splitlines()))
    return [item for name in names for item in _named(name, column)]


def _named(name: str, column: str | None) -> list[Item]:
    """The inputs of a name in a list. A million of addresses cannot be looked up."""
    if PurePosixPath(name).suffix.lower() in ('.tar', '.parquet'):
        return _find(name, column)
    if is_remote(name):
        return [Item(name, name)]
    path = os.path.abspath(name)
    if os.path.isdir(path):
        return _find(path, column)
    return [Item(path, path, os.path.getsize(path) if os.path.exists(path) else 0)]


def _members(filesystem: AbstractFileSystem, path: str, name: str) -> Iterator[Item]:
    """The images and videos in a tar file, found by its headers."""
    try:
        # Of a compressed file, a member cannot be read without those before it.
        with (
            filesystem.open(path) as file,
            tarfile.open(fileobj=file, mode='r:') as tar,
        ):
            for member in tar:
                if member.isfile() and media_type(PurePosixPath(member.name)):
                    start = member.offset_data
                    span = (start, start + member.size)
                    yield Item(f'{name}/{member.name}', name, member.size, span)
    except tarfile.TarError as error:
        raise ValueError(
            f'{name} must be a tar without compression: {error}'
        ) from error


def _rows(
    filesystem: AbstractFileSystem, path: str, name: str, column: str | None
) -> Iterator[Item]:
    """The images in a column of a Parquet file, or the files that the column names."""
    require('pyarrow', extra='scale')
    import pyarrow.parquet as pq

    with filesystem.open(path) as file:
        try:
            table = pq.ParquetFile(file)
        except ValueError as error:
            raise ValueError(f'{name} cannot be read as Parquet: {error}') from error
        names = table.schema_arrow.names
        if column not in names:
            raise ValueError(
                f'column must be one of {", ".join(names)} in {name}, got {column!r}'
            )
        # Hugging Face's structs of bytes and path have images.
        kind = str(table.schema_arrow.field(column).type)
        has_names = 'string' in kind and not kind.startswith('struct')
        for group in range(table.num_row_groups):
            if has_names:
                values = table.read_row_group(group, columns=[column])[column]
                found = [*filter(None, values.to_pylist())]
                if len(found) < len(values):
                    _warn(f'{name}: left out: {len(values) - len(found)} empty names')
                for found_name in found:
                    yield from _named(found_name, None)
                continue
            size = table.metadata.row_group(group).num_rows
            for index in range(size):
                row = Row(column, group, index)
                yield Item(f'{name}/{group}-{index}', name, row=row)


def _warn(message: str) -> None:
    """Log a warning."""
    print_log(message, logger='current', level=logging.WARNING)


def share_of(items: list[Item], index: int, number: int) -> list[Item]:
    """The share of one of several processes: videos by size, images by name.

    Args:
        items (list[Item]): All inputs, the same in all processes.
        index (int): Index of the process, counted from 0.
        number (int): Number of processes.

    Returns:
        list[Item]: Every ``number``-th input.

    Raises:
        ValueError: If the index is not below the number.

    Example:
        >>> [item.path for item in share_of([Item(x, x) for x in 'abcde'], 1, 2)]
        ['b', 'd']
    """
    if not 0 <= index < number:
        raise ValueError(
            f'the index of a shard must be at least 0 and below {number}, got {index}'
        )
    return in_order(items)[index::number]


def in_order(items: list[Item]) -> list[Item]:
    """Order inputs: the longest video first, so that no worker ends with it.

    Args:
        items (list[Item]): Inputs.

    Returns:
        list[Item]: The same inputs.
    """
    return sorted(items, key=lambda x: (not x.is_video, -x.size * x.is_video, x.path))
