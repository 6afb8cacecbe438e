# SPDX-License-Identifier: Apache-2.0
"""Packages of the extra ``deploy``."""

from importlib.util import find_spec


def require(*packages: str) -> None:
    """Raise unless packages of the extra ``deploy`` are installed.

    Args:
        packages (str): Names of the packages.

    Raises:
        ImportError: If one is missing.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'{" and ".join(missing)} not installed: pip install "rmpe_plugin[deploy]"'
        )
