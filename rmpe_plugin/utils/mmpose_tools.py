# SPDX-License-Identifier: Apache-2.0
"""Find and run the scripts that MMPose ships."""

import runpy
from pathlib import Path

import mmpose


def find_mmpose_tool(name: str) -> Path:
    """Find a script of the installed MMPose's ``tools``.

    Args:
        name (str): File name, such as ``'train.py'``.

    Returns:
        Path: The script.

    Raises:
        FileNotFoundError: If this MMPose came without its scripts.
    """
    package = Path(mmpose.__file__).parent
    # A wheel carries them in .mim; a checkout has them beside the package.
    for tools in (package / '.mim' / 'tools', package.parent / 'tools'):
        if (tools / name).is_file():
            return tools / name
    raise FileNotFoundError(
        f'{package} has no tools/{name}, neither in .mim nor beside'
    )


def run_mmpose_tool(name: str) -> None:
    """Run a script of the installed MMPose's ``tools`` as the main program.

    Args:
        name (str): File name, such as ``'train.py'``. It reads ``sys.argv``.

    Raises:
        FileNotFoundError: If this MMPose came without its scripts.
    """
    runpy.run_path(str(find_mmpose_tool(name)), run_name='__main__')
