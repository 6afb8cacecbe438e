# SPDX-License-Identifier: Apache-2.0
"""Files that survive a crash: atomic writes and the resume journal."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: str | Path, mode: str = 'w') -> Iterator[IO[Any]]:
    """Write a file completely or not at all.

    The data goes to ``path`` with ``.part`` appended, is flushed to disk, and then
    replaces ``path``. After an error the old file is unchanged.

    Args:
        path (str | Path): File to write. Missing parent folders are created.
        mode (str): ``'w'`` or ``'wb'``. Defaults to ``'w'``.

    Yields:
        IO: The open file.

    Raises:
        OSError: If the file cannot be written, for example on a full disk.
    """
    path = Path(path)
    part = path.with_name(path.name + '.part')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class ResumeJournal:
    """Records of finished work, from which an interrupted run continues.

    The file holds one JSON value per line: the settings, then the records in the order
    in which they were added. A last line that a crash has cut off is dropped.

    Args:
        path (str | Path): The file. Missing parent folders are created.
        settings (dict): What the records depend on, JSON types only.

    Attributes:
        records (list[dict]): The records of this run and of earlier ones.

    Raises:
        ValueError: If the file has records of other settings, or is no journal.
    """

    def __init__(self, path: str | Path, settings: dict) -> None:
        self.path = Path(path)
        self.records: list[dict] = []
        text = self.path.read_bytes() if self.path.exists() else b''
        complete = text[: text.rfind(b'\n') + 1]
        try:
            found, *self.records = [
                json.loads(line) for line in complete.splitlines()
            ] or [settings]
        except ValueError as error:
            raise ValueError(f'{self.path} is not a resume journal: {error}') from error
        # A journal without records can be replaced.
        if self.records and found != json.loads(json.dumps(settings)):
            raise ValueError(
                f'{self.path} belongs to a run with other settings: {found}, got '
                f'{settings}; repeat the run with those settings, choose another '
                'output, or delete the file'
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open('a')
        self._file.truncate(len(complete) if self.records else 0)
        if not self.records:
            self._write(settings)

    def append(self, record: dict) -> None:
        """Add a record and write it to the file.

        Args:
            record (dict): JSON types only.
        """
        self.records.append(record)
        self._write(record)

    def close(self, remove: bool = False) -> None:
        """Close the file.

        Args:
            remove (bool): Whether to delete it. Defaults to ``False``.
        """
        self._file.close()
        if remove:
            self.path.unlink()

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps(line) + '\n')
        self._file.flush()


def journal_path(out: Path) -> Path:
    """Path of the resume journal of a result file.

    Args:
        out (Path): The file that is written when all work is finished.

    Returns:
        Path: The file beside it.
    """
    return out.with_name(f'{out.name}.journal.jsonl')


def file_digest(path: str | Path) -> str:
    """Compute the SHA-256 of a file, by which a resume journal recognises its content.

    Args:
        path (str | Path): The file.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def find_shipped(name: str) -> Path:
    """Find a file that this package ships beside its modules.

    Args:
        name (str): Path in a checkout, such as ``'configs/_base_/rmpe.py'``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    # A wheel has these files in .mim; a checkout has them beside the package.
    package = Path(__file__).resolve().parents[1]
    for root in (package / '.mim', package.parent):
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(
        f'{name} is neither in {package}/.mim nor in {package.parent}'
    )
