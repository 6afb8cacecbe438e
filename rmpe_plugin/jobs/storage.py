# SPDX-License-Identifier: Apache-2.0
"""Names and errors of storage that fsspec opens."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem


def is_remote(name: str) -> bool:
    """Whether a name is an address.

    Args:
        name (str): Path or address.

    Returns:
        bool: ``True`` for an address.
    """
    return '://' in name


def open_storage(name: str) -> tuple[AbstractFileSystem, str]:
    """Find the storage of a file or folder.

    Args:
        name (str): Path or address. ``::`` has no meaning in a path, unlike in fsspec.

    Returns:
        tuple[AbstractFileSystem, str]: The storage, and the path in it.
    """
    if is_remote(name):
        return url_to_fs(name)
    return LocalFileSystem(), os.path.abspath(name)


@contextmanager
def storage_errors(name: str, action: str) -> Iterator[None]:
    """Turn the errors of storage libraries, of many types, into OSErrors.

    Args:
        name (str): Path or address, for the message. Those libraries do not name it.
        action (str): What cannot be done, such as ``'read'``.

    Raises:
        OSError: If the body raises an error.
        ImportError: If the library of the address is not installed.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not is_remote(name):
            raise
        raise OSError(f'{name} cannot be {action}: {error}') from error
