# SPDX-License-Identifier: Apache-2.0
"""A JSON list that is written record by record."""

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from rmpe_plugin.utils.files import atomic_write


class JsonList:
    """Write a JSON list record by record, without keeping the records in memory.

    To be used in a ``with`` statement. The file is written atomically when the
    statement ends. If it ends with an error, the file still contains the records that
    were added until then.

    Args:
        path (Path): File to write. Missing parent folders are created.

    Example:
        >>> with JsonList(Path('results.json')) as results:  # doctest: +SKIP
        ...     results.extend([dict(image_id=1, score=0.5)])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._separator = '[\n'

    def extend(self, records: list[dict]) -> None:
        """Add records.

        Args:
            records (list[dict]): JSON types only.
        """
        for record in records:
            self._file.write(self._separator + json.dumps(record))
            self._separator = ',\n'

    def __enter__(self) -> 'JsonList':
        self._file = self._stack.enter_context(atomic_write(self.path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The stack does not get the error of the ``with`` statement, so that the file
        # is kept; an error here, such as a full disk, removes it.
        with self._stack:
            self._file.write('[\n]\n' if self._separator == '[\n' else '\n]\n')
