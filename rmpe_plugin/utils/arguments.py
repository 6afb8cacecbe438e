# SPDX-License-Identifier: Apache-2.0
"""Types of command-line arguments. argparse adds the name of the argument to errors."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import cv2


def existing_file(text: str) -> Path:
    """Path of a file that exists.

    Args:
        text (str): The argument.

    Returns:
        Path: The path.

    Raises:
        ArgumentTypeError: If there is no such file.
    """
    return _existing(text, Path.is_file, 'file')


def existing_folder(text: str) -> Path:
    """Path of a folder that exists.

    Args:
        text (str): The argument.

    Returns:
        Path: The path.

    Raises:
        ArgumentTypeError: If there is no such folder.
    """
    return _existing(text, Path.is_dir, 'folder')


def _existing(text: str, is_kind: Callable[[Path], bool], kind: str) -> Path:
    """Return a path; raise an ArgumentTypeError if it is not of this kind."""
    path = Path(text)
    if not is_kind(path):
        reason = f'is not a {kind}' if path.exists() else 'does not exist'
        raise ArgumentTypeError(f'{text} {reason}')
    return path


def image_to_write(text: str) -> Path:
    """Path of an image that OpenCV can write.

    Args:
        text (str): The argument.

    Returns:
        Path: The path.

    Raises:
        ArgumentTypeError: If OpenCV does not write files with this ending.
    """
    if not cv2.haveImageWriter(text):
        raise ArgumentTypeError(f'{text} must end with .png, .jpg or similar')
    return Path(text)


def at_least(minimum: int) -> Callable[[str], int]:
    """Integer with a minimum.

    Args:
        minimum (int): The smallest valid value.

    Returns:
        Callable[[str], int]: The type of the argument. It raises an
        ``ArgumentTypeError`` for a smaller number, and a ValueError for other text.
    """

    def integer(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise ArgumentTypeError(f'must be at least {minimum}, got {value}')
        return value

    return integer


def share(text: str) -> float:
    """Number between 0 and 1, both excluded.

    Args:
        text (str): The argument.

    Returns:
        float: The number.

    Raises:
        ArgumentTypeError: If the number is not in this range.
        ValueError: If the text is not a number.
    """
    value = float(text)
    if not 0 < value < 1:
        raise ArgumentTypeError(f'must be between 0 and 1, got {value}')
    return value
