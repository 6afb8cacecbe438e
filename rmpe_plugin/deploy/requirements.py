# SPDX-License-Identifier: Apache-2.0
"""Packages of the extras."""

from importlib.util import find_spec


def require(*packages: str, extra: str = 'deploy') -> None:
    """Raise unless packages of an extra are installed.

    Args:
        packages (str): Names of the packages.
        extra (str): Name of the extra. Defaults to ``'deploy'``.

    Raises:
        ImportError: If one is missing.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'{" and ".join(missing)} not installed: pip install "rmpe_plugin[{extra}]"'
        )
