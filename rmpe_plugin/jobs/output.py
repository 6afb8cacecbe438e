# SPDX-License-Identifier: Apache-2.0
"""The output of a job: a folder of Parquet parts, each written completely or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from rmpe_plugin.deploy.requirements import require
from rmpe_plugin.utils.files import atomic_write

from .schema import KEY, VERSION, FrameRows, schema, to_table
from .storage import is_remote, open_storage, storage_errors

if TYPE_CHECKING:
    import pyarrow as pa

# Rows that are written together, which bounds memory.
_ROWS = 4096
# Threads that read parts; object stores answer slowly, but many requests at a time.
_READERS = 16


class Failure(NamedTuple):
    """A frame without poses.

    Attributes:
        path (str): Path of the input.
        frame (int): Index of the frame, 0 for an image.
        error (str): The reason.
    """

    path: str
    frame: int
    error: str


class Done(NamedTuple):
    """What an output contains.

    Attributes:
        paths (dict[str, str]): Name of the part of each input.
        failures (list[Failure]): Frames without poses.
    """

    paths: dict[str, str]
    failures: list[Failure]


class OutputError(OSError):
    """The output cannot be written, for example on a full disk."""


class PartWriter:
    """Writes the rows of frames to a Parquet file.

    Args:
        file (IO): Binary file.
        columns (pa.Schema): See :func:`.schema.schema`.
    """

    def __init__(self, file: IO[bytes], columns: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.columns = columns
        self._writer = pq.ParquetWriter(file, columns, compression='zstd')
        self._frames: list[FrameRows] = []
        self._rows = 0

    def add(self, rows: FrameRows) -> None:
        """Add the rows of a frame.

        Args:
            rows (FrameRows): The rows.

        Raises:
            OutputError: If they cannot be written.
        """
        self._frames.append(rows)
        self._rows += max(1, len(rows.people))
        if self._rows >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Write the remaining rows and the end of the file.

        Raises:
            OutputError: If they cannot be written.
        """
        try:
            self._flush()
        finally:
            with _writing():
                self._writer.close()

    def _flush(self) -> None:
        """Write a row group."""
        if self._frames:
            with _writing():
                self._writer.write_table(to_table(self._frames, self.columns))
        self._frames, self._rows = [], 0


class Output:
    """A folder of parts, on a disk or in an object store.

    Args:
        folder (str | Path): Folder, or an address that fsspec opens.
        description (dict): Description of the job for the metadata of the parts, JSON
            types. ``settings`` must be those of all parts in the folder.
    """

    def __init__(self, folder: str | Path, description: dict) -> None:
        require('pyarrow', extra='scale')
        name = str(folder)
        self.folder = (
            name.rstrip('/') if is_remote(name) else str(Path(name).absolute())
        )
        self.description = dict(version=VERSION, **description)

    def scan(self) -> Done:
        """Read which inputs are done.

        Returns:
            Done: Inputs and failures.

        Raises:
            OSError: If a part cannot be read.
            ValueError: If a part is damaged, was written with other settings, or two
                parts have the same input.
        """
        paths: dict[str, str] = {}
        failures: list[Failure] = []
        names = list_parts(self.folder)
        with ThreadPoolExecutor(_READERS) as threads:
            for name, part in zip(
                names, threads.map(self._scan_part, names), strict=True
            ):
                for path in part.paths:
                    if path in paths:
                        raise ValueError(
                            f'{path} is in two parts, {paths[path]} and {name}: delete '
                            'one of them and start the job again'
                        )
                    paths[path] = name
                failures += part.failures
        return Done(paths, failures)

    def _scan_part(self, name: str) -> Done:
        """Read which inputs a part has."""
        import pyarrow.compute as pc

        table = read_part(name, ['path', 'frame', 'error'])
        found = json.loads(table.schema.metadata[KEY])
        _check_settings(name, found['settings'], self.description['settings'])
        paths = pc.unique(table['path']).to_pylist()
        failed = table.filter(pc.is_valid(table['error'])).to_pylist()
        return Done(dict.fromkeys(paths, name), [Failure(**row) for row in failed])

    def forget_failures(self, paths: Collection[str]) -> int:
        """Remove the rows of inputs with failures, so that they are done again.

        Args:
            paths (Collection[str]): Inputs of which this is done.

        Returns:
            int: Number of these inputs.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        done = self.scan()
        failed = {failure.path for failure in done.failures}.intersection(paths)
        for name in {done.paths[path] for path in failed}:
            table = read_part(name)
            is_failed = pc.is_in(table['path'], value_set=pa.array([*failed]))
            with write_file(name) as file:
                pq.write_table(table.filter(pc.invert(is_failed)), file)
        return len(failed)

    @contextmanager
    def part(self, name: str, keypoint_names: list[str]) -> Iterator[PartWriter]:
        """Write a part. It exists after the ``with`` statement, unless that fails.

        Args:
            name (str): Name of the part. One that exists is replaced.
            keypoint_names (list[str]): Names of the keypoints, for the metadata.

        Yields:
            PartWriter: Takes the rows.

        Raises:
            OutputError: If the part cannot be written.
        """
        description = dict(self.description, keypoints=keypoint_names)
        columns = schema(json.dumps(description).encode())
        with write_file(f'{self.folder}/{name}') as file:
            writer = PartWriter(file, columns)
            try:
                yield writer
            finally:
                writer.close()


def list_parts(folder: str) -> list[str]:
    """List the parts in a folder.

    Args:
        folder (str): Folder or address.

    Returns:
        list[str]: Paths or addresses, sorted; none if the folder does not exist.

    Raises:
        OSError: If the folder cannot be listed.
    """
    with storage_errors(folder, 'listed'):
        filesystem, path = open_storage(folder)
        filesystem.invalidate_cache()
        try:
            names = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return []
    files = sorted(name.rpartition('/')[2] for name in names)
    return [f'{folder}/{name}' for name in files if name.endswith('.parquet')]


def read_part(name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a part.

    Args:
        name (str): Path or address.
        columns (list[str], optional): Columns that are read. Defaults to ``None``: all.

    Returns:
        pa.Table: The rows.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged, or no part of this version.
    """
    import pyarrow.parquet as pq

    filesystem, path = open_storage(name)
    try:
        with filesystem.open(path) as file:
            table = pq.ParquetFile(file).read(columns=columns)
    # Truncated and changed files give an OSError of pyarrow without an error number.
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f'{name} is damaged ({error}). Delete it and start the job again: its '
            'inputs are then processed again'
        ) from error
    description = json.loads((table.schema.metadata or {}).get(KEY, b'{}'))
    if description.get('version') != VERSION:
        raise ValueError(
            f'{name} is no part of a pose job of version {VERSION}: choose another '
            'folder'
        )
    return table


@contextmanager
def write_file(name: str) -> Iterator[Any]:
    """Write a file on a disk or in an object store completely or not at all.

    Args:
        name (str): Path or address.

    Yields:
        IO: A temporary file.

    Raises:
        OutputError: If it cannot be written.
    """
    with _writing():
        temporary = NamedTemporaryFile(prefix='rmpe-')  # noqa: SIM115
    with temporary as file:
        yield file
        with _writing():
            file.flush()
            file.seek(0)
            if not is_remote(name):
                with atomic_write(name, 'wb') as target:
                    shutil.copyfileobj(file, target)
                return
            with storage_errors(name, 'written'):
                filesystem, path = open_storage(name)
                # A file that fsspec opens for writing is stored even after an error.
                filesystem.put_file(file.name, path)


@contextmanager
def _writing() -> Iterator[None]:
    """Turn errors into those of the output."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f'the output cannot be written: {error}') from error


def _check_settings(name: str, found: dict, expected: dict) -> None:
    """Raise a ValueError if a part was written with other settings."""
    expected = json.loads(json.dumps(expected))
    different = [key for key in expected if found.get(key) != expected[key]]
    different += [key for key in found if key not in expected]
    if different:
        key = different[0]
        raise ValueError(
            f'{name} was written with other weights or settings ({", ".join(different)}'
            f'): {key} was {found.get(key)}, got {expected.get(key)}. Repeat the job '
            'with those, or choose another folder'
        )
