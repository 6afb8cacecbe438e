# SPDX-License-Identifier: Apache-2.0
"""Give mmcv-lite its operators, without a compiler.

Adds the modules that ``mmcv-lite`` and ``xtcocotools`` lack without a compiler to the
environment: ``mmcv/_ext.py`` imports mmcv's operators on torchvision from this plugin,
``xtcocotools/_mask.py`` imports pycocotools. A compiled module is never replaced.
Running this again changes nothing.

Example:
    rmpe operators
    rmpe operators --remove
"""

# A script: `import rmpe_plugin` fails as long as mmcv has no operators.
import argparse
import importlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

MARK = '# Written by `rmpe operators`; `rmpe operators --remove` deletes it.\n'


class Module(NamedTuple):
    """A compiled module and its replacement.

    Attributes:
        name (str): Name of the module.
        user (str): Module of the same package that imports it.
        text (str): Python source of the replacement.
    """

    name: str
    user: str
    text: str


OPERATORS = Module(
    'mmcv._ext',
    'mmcv.ops',
    MARK
    + '''"""Operators of mmcv on torchvision."""
from importlib.util import find_spec

plugin = find_spec('rmpe_plugin')
if plugin is None:
    raise ImportError(f'{__file__} needs rmpe_plugin: install it, or delete this file')
# `import rmpe_plugin` would import mmcv.ops, which is importing this file.
__path__ = plugin.submodule_search_locations
from mmcv._ext.compat.mmcv_ext import *  # noqa: E402, F403
''',
)
MASKS = Module(
    'xtcocotools._mask',
    'xtcocotools.mask',
    MARK
    + '''"""Run-length encoded masks of pycocotools."""
from pycocotools._mask import *  # noqa: F403
''',
)


class InstallError(Exception):
    """The environment cannot be changed; the message says why and what to do."""


def install(module: Module) -> str:
    """Write the replacement of a module, unless the compiled one is there.

    Args:
        module (Module): The module.

    Returns:
        str: What was done.

    Raises:
        InstallError: If the package or what the replacement imports is not installed, a
            file from elsewhere is in the way, or the folder cannot be written. The
            environment is then as before.
    """
    path = find_path(module)
    compiled = find_compiled(path)
    if compiled:
        return f'{module.name}: compiled, {compiled}'
    if path.exists() and not is_ours(path):
        raise InstallError(
            f'{path} exists and is not from rmpe_plugin; delete it if it is not needed'
        )
    before = path.read_text() if path.exists() else None
    if before == module.text:
        return f'{module.name}: already in place, {path}'
    write(path, module.text)
    try:
        importlib.invalidate_caches()
        importlib.import_module(module.user)
    except Exception as error:  # torchvision of another torch raises several types
        if before is None:
            path.unlink()
        else:
            write(path, before)
        raise InstallError(
            f'{module.user} cannot be imported with {path}, so the file was not '
            f'changed: {type(error).__name__}: {error}'
        ) from error
    return f'{module.name}: written, {path}'


def remove(module: Module) -> str:
    """Delete the replacement of a module.

    Args:
        module (Module): The module.

    Returns:
        str: What was done.

    Raises:
        InstallError: If the package is not installed or the file cannot be deleted.
    """
    path = find_path(module)
    if not path.exists() or not is_ours(path):
        return f'{module.name}: no file of rmpe_plugin'
    try:
        path.unlink()
    except OSError as error:
        raise InstallError(f'{path} cannot be deleted: {error}') from error
    return f'{module.name}: removed, {path}'


def find_path(module: Module) -> Path:
    """Path of the replacement, in the folder of an installed package.

    Args:
        module (Module): The module.

    Returns:
        Path: The path, whether or not a file exists.

    Raises:
        InstallError: If the package, or the part of it that uses the module, is not
            installed.
    """
    package, name = module.name.split('.')
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InstallError(f'{package} is not installed in {sys.prefix}')
    folder = Path(spec.submodule_search_locations[0])
    user = folder / module.user.split('.')[1]
    if not user.exists() and not user.with_suffix('.py').exists():
        raise InstallError(
            f'{folder} has no {user.name}, this version of {package} is not supported'
        )
    return folder / f'{name}.py'


def find_compiled(path: Path) -> Path | None:
    """Find the compiled module that Python prefers to a replacement.

    Args:
        path (Path): Path of the replacement.

    Returns:
        Path | None: The compiled module, ``None`` if there is none.
    """
    paths = (path.with_suffix(suffix) for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def is_ours(path: Path) -> bool:
    """Whether a file was written by :func:`install`.

    Args:
        path (Path): The file.

    Returns:
        bool: Whether it begins as the files of this module do.
    """
    return path.read_bytes().startswith(MARK.encode())


def write(path: Path, text: str) -> None:
    """Write a file completely or not at all.

    Args:
        path (Path): The file.
        text (str): Its content.

    Raises:
        InstallError: If the folder cannot be written.
    """
    partial = path.with_name(f'{path.name}.{os.getpid()}')
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InstallError(f'{path} cannot be written: {error}') from error


def main() -> int:
    """Parse the arguments and change the environment.

    Returns:
        int: Exit status, 2 after an error.
    """
    # Run by its path, so argparse does not know the command.
    parser = argparse.ArgumentParser(
        prog='rmpe operators',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--remove', action='store_true', help='delete the files again')
    change = remove if parser.parse_args().remove else install
    try:
        for module in (MASKS, OPERATORS):
            print(change(module))
    except InstallError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
