# SPDX-License-Identifier: Apache-2.0
"""Read a long JSON list without keeping it in memory."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

# Characters that are read together.
CHUNK = 1 << 16
_SPACE = re.compile(r'[ \t\n\r]*')
_DECODER = json.JSONDecoder()


def iterate_json_list(path: Path, content: str) -> Iterator[Any]:
    """Read the values of a JSON list one by one.

    Args:
        path (Path): The file.
        content (str): What the list contains, for the error message.

    Yields:
        Any: A value of the list.

    Raises:
        ValueError: If the file is not a JSON list. Values before an error are yielded.
    """
    with path.open() as file:
        try:
            text = file.read(CHUNK)
            while text.isspace() and (more := file.read(CHUNK)):
                text = more
            if _is_other_json(text, file):
                raise ValueError(f'{path} must be a list of {content}')
            yield from _values(text, file)
        # Not every ValueError: the consumer's must not be changed.
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f'{path} is not JSON: {error}') from error


def _is_other_json(text: str, file: TextIO) -> bool:
    """Whether a file that begins with this text is JSON, but no list."""
    if text.startswith('[', _skip_space(text, 0)):
        return False
    json.loads(text + file.read())
    return True


def _values(text: str, file: TextIO) -> Iterator[Any]:
    """Values of a list that begins with this text."""
    position = _skip_space(text, 0)
    while text[position] != ']':
        found = _value_after(text, position)
        while found is None:
            # Doubled, so that a long value is not decoded many times.
            more = file.read(max(CHUNK, len(text)))
            text, position = text[position:] + more, 0
            found = _value_after(text, position, is_complete=not more)
        values, position = found
        yield from values
    rest = text[position + 1 :] + file.read()
    end = _skip_space(rest, 0)
    if end < len(rest):
        raise json.JSONDecodeError('Extra data', rest, end)


def _value_after(
    text: str, position: int, is_complete: bool = False
) -> tuple[list[Any], int] | None:
    """The value after a bracket or comma, and the position of the next one of these.

    No value after the bracket of an empty list; ``None`` if more text is needed.
    """
    start = _skip_space(text, position + 1)
    if text[position] == '[' and text.startswith(']', start):
        return [], start
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        if is_complete:
            raise
        return None
    end = _skip_space(text, end)
    if text.startswith((',', ']'), end):
        return [value], end
    # Not before the end of the file: a number such as 1e5 can be cut after 1.
    if is_complete:
        raise json.JSONDecodeError("Expecting ',' delimiter", text, end)
    return None


def _skip_space(text: str, position: int) -> int:
    """Position of the next character that is no white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position
