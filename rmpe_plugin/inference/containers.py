# SPDX-License-Identifier: Apache-2.0
"""Whether a video file is complete, from the structure of its container.

FFmpeg, which OpenCV decodes with, reads a file that is cut off without an error, and
counts of frames in headers are wrong for intact files. A container is a sequence of
elements with declared sizes: in a complete file, each one ends inside the file.
"""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

# An ASF header has the size of the file 40 bytes after the start of this object.
_ASF_FILE_PROPERTIES = bytes.fromhex('a1dcab8c47a9cf118ee400c00c205365')
_ISO_TYPES = (
    *(b'ftyp', b'styp', b'moov', b'mdat', b'moof', b'mfra', b'sidx', b'free', b'skip'),
    *(b'wide', b'uuid', b'meta', b'pnot', b'emsg', b'prft'),
)
_EBML_ID, _SEGMENT, _CLUSTER = b'\x1aE\xdf\xa3', b'\x18S\x80g', b'\x1fC\xb6u'
_FLV_TAGS = (8, 9, 18)


class _Element(NamedTuple):
    """Where the next element begins, and where the current one ends."""

    following: int
    end: int


# Reads the element at a position; ``None`` if there is none.
_Reader = Callable[[IO[bytes], int], _Element | None]


def is_cut(path: Path) -> bool:
    """Check whether a video file is cut off, or parts of its structure are overwritten.

    Args:
        path (Path): MP4, MOV, 3GP, AVI, Matroska, WebM, FLV, ASF (WMV) or a transport
            stream. Other containers do not declare sizes.

    Returns:
        bool: Whether an element reaches beyond the file, or none begins where the one
        before ends. ``False`` for other containers.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open('rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        start = file.read(65536)
        if start[4:8] in _ISO_TYPES:
            return _is_cut(file, 0, size, _iso_box)
        if start.startswith(b'RIFF'):
            return _is_cut(file, 0, size, _riff_chunk)
        if start.startswith(_EBML_ID):
            return _is_cut(file, 0, size, _ebml_element)
        if start.startswith(b'FLV'):
            return _is_cut(file, 13, size, _flv_tag, inside=size)
        for packet, sync in ((188, 0), (192, 4)):
            # The packets of transport streams begin, or begin after a time, with G.
            if start[sync : sync + 5 * packet : packet] == b'GGGGG':
                return size % packet > 0
        properties = start.find(_ASF_FILE_PROPERTIES)
        declared = start[properties + 40 : properties + 48]
        return properties >= 0 and int.from_bytes(declared, 'little') > size


def edited_seconds(path: Path) -> float | None:
    """Read how long an MP4, MOV or 3GP is shown according to its edit lists.

    Args:
        path (Path): Video file.

    Returns:
        float | None: Seconds of the track that is shown shortest, infinite without an
        edit list; ``None`` for fragmented files and other containers, which do not
        count frames exactly.
    """
    with path.open('rb') as file:
        size = file.seek(0, os.SEEK_END)
        position, movie = 0, b''
        while position < size and not movie:
            file.seek(position)
            box = _iso_box(file, position)
            if box is None:
                return None
            file.seek(position)
            if file.read(8)[4:] == b'moov':
                movie = file.read(box.end - position - 8)
            position = box.end
    header = movie.find(b'mvhd')
    # In a fragmented file, the number of frames is estimated.
    if header < 0 or b'mvex' in movie:
        return None
    offset = header + (24 if movie[header + 4 : header + 5] == b'\1' else 16)
    scale = int.from_bytes(movie[offset : offset + 4], 'big')
    tracks = [_edited_units(movie, m.end()) for m in re.finditer(b'elst', movie)]
    return min(tracks) / scale if tracks and scale else math.inf


def _edited_units(movie: bytes, start: int) -> int:
    """Sum of the durations in an edit list, in units of the movie."""
    width = 8 if movie[start : start + 1] == b'\1' else 4
    number = int.from_bytes(movie[start + 4 : start + 8], 'big')
    step = 2 * width + 4
    last = min(start + 8 + number * step, len(movie))
    return sum(
        int.from_bytes(movie[i : i + width], 'big')
        for i in range(start + 8, last, step)
    )


def _is_cut(
    file: IO[bytes], position: int, size: int, read: _Reader, inside: int = 0
) -> bool:
    """Whether the elements of a file, from a position on, do not fit into it.

    Elements follow each other up to ``inside`` and inside of other elements. After
    these, cameras can append data of their own.
    """
    while position < size:
        file.seek(position)
        element = read(file, position)
        if element is None:
            return position < inside
        if element.end > size:
            return True
        if element.following < element.end:
            inside = max(inside, element.end)
        position = element.following
    return False


def _iso_box(file: IO[bytes], position: int) -> _Element | None:
    """A box of MP4: its size and type."""
    header = file.read(16)
    size, kind = int.from_bytes(header[:4], 'big'), header[4:8]
    if kind not in _ISO_TYPES or 1 < size < 8:
        return None
    if size == 1:
        size = int.from_bytes(header[8:16], 'big')
    end = position + size if size else file.seek(0, os.SEEK_END)
    return _Element(end, end)


def _riff_chunk(file: IO[bytes], position: int) -> _Element | None:
    """A chunk of AVI: its name and size; the chunks in a list follow its header."""
    header = file.read(12)
    name, size = header[:4], int.from_bytes(header[4:8], 'little')
    if not (name.isascii() and name.strip().isalnum()):
        return None
    end = position + 8 + size
    if name in (b'RIFF', b'LIST'):
        return _Element(position + 12, end)
    return _Element(end + size % 2, end)


def _ebml_element(file: IO[bytes], position: int) -> _Element | None:
    """An element of Matroska: its id and size; all is in a segment and its clusters."""
    header = file.read(12)
    width = 9 - header[0].bit_length()
    if width > 4 or len(header) <= width or not header[width]:
        return None
    name, first = header[:width], header[width]
    digits = 9 - first.bit_length()
    size = int.from_bytes(header[width : width + digits], 'big')
    size -= 1 << 7 * digits  # the marker of the width
    body = position + width + digits
    is_unknown = size == (1 << 7 * digits) - 1
    if name in (_SEGMENT, _CLUSTER):
        return _Element(body, body if is_unknown else body + size)
    return None if is_unknown else _Element(body + size, body + size)


def _flv_tag(file: IO[bytes], position: int) -> _Element | None:
    """A tag of FLV: its type and size, and the size again at its end."""
    header = file.read(4)
    if header[0] & 31 not in _FLV_TAGS:
        return None
    end = position + 15 + int.from_bytes(header[1:], 'big')
    return _Element(end, end)
