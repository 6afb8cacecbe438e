# SPDX-License-Identifier: Apache-2.0
"""Errors and exit status of all commands."""

import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError

# Errors of arguments, environments and files; UnpicklingError of damaged checkpoints.
ERRORS = (BrokenExecutor, ImportError, OSError, UnpicklingError, ValueError)


def exit_status(main: Callable[[], object]) -> Callable[[], int]:
    """Let a command return its exit status and print its errors in one line.

    Args:
        main (Callable[[], object]): The command. It returns whether it failed for some
            inputs; ``None`` is success.

    Returns:
        Callable[[], int]: The command with the exit status 0, 1 if it failed for some
        inputs, or 2 if it raised an error that its message describes.
    """

    @wraps(main)
    def run() -> int:
        try:
            return int(bool(main()))
        except ERRORS as error:
            print(f'{Path(sys.argv[0]).name}: error: {error}', file=sys.stderr)
            return 2

    return run
