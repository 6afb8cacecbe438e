# SPDX-License-Identifier: Apache-2.0
"""Names and errors of storage that fsspec opens."""

from collections.abc import Iterator
from contextlib import contextmanager


def is_remote(name: str) -> bool:
    """Whether a name is an address.

    Args:
        name (str): Path or address.

    Returns:
        bool: ``True`` for an address.
    """
    return '://' in name


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
