# SPDX-License-Identifier: Apache-2.0
"""Images by address."""

import re
import time
from http.client import HTTPException
from pathlib import Path
from string import punctuation
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from .media_types import media_type

# Seconds without an answer, and in total, after which a download fails.
TIMEOUT, MAX_SECONDS = 30, 120
MAX_BYTES = 100 * 2**20
_BLOCK = 2**16


def is_address(item: str | Path) -> bool:
    """Check whether an input is the address of an image or a stream.

    Args:
        item (str | Path): The input.

    Returns:
        bool: Whether it begins with ``http://``, ``https://``, ``rtsp://``,
        ``rtsps://`` or ``rtmp://``.
    """
    return bool(re.match(r'(https?|rtsps?|rtmp)://', str(item)))


def is_image_address(url: str) -> bool:
    """Check whether an address is that of an image, by its ending.

    Args:
        url (str): The address.

    Returns:
        bool: Whether it is one; otherwise it is that of a stream.
    """
    return url.startswith('http') and media_type(Path(urlsplit(url).path)) == 'image'


def public_name(url: str) -> str:
    """Name of an address in messages and results.

    Args:
        url (str): The address.

    Returns:
        str: The address without user, password and query, which can be secret.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition('@')[2]
    return urlunsplit((parts.scheme, host, parts.path, '', ''))


def download(url: str) -> bytes:
    """Download a file into memory.

    Args:
        url (str): Its address, ``http://`` or ``https://``.

    Returns:
        bytes: Its content.

    Raises:
        OSError: If it cannot be downloaded, is incomplete, is larger than 100 MiB, or
            takes more than two minutes.
    """
    if urlsplit(url).username is not None:
        raise OSError('addresses of images with a user and a password are unsupported')
    address = quote(url, safe=punctuation)  # spaces and letters that are not ASCII
    try:
        request = Request(address, headers={'User-Agent': 'rmpe_plugin'})
        return _read(request, time.monotonic() + MAX_SECONDS)
    except (HTTPException, ValueError) as error:
        raise OSError(f'{type(error).__name__}: {error}') from error


def _read(request: Request, end: float) -> bytes:
    """Read an answer until a time."""
    content = bytearray()
    with urlopen(request, timeout=TIMEOUT) as response:
        size = response.length
        while block := response.read1(_BLOCK):
            content += block
            if len(content) > MAX_BYTES:
                raise OSError(f'it is larger than {MAX_BYTES:,} bytes')
            if time.monotonic() > end:
                raise OSError(f'it was not complete after {MAX_SECONDS} seconds')
    if size is not None and len(content) != size:
        raise OSError(f'it is incomplete, got {len(content):,} of {size:,} bytes')
    return bytes(content)
