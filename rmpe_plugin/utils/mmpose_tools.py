# SPDX-License-Identifier: Apache-2.0
"""Find and run the scripts of the installed MMPose."""

import runpy
from pathlib import Path

import mmpose


def find_mmpose_tool(name: str) -> Path:
    """Find a script in ``tools`` of the installed MMPose.

    Args:
        name (str): File name, such as ``'train.py'``.

    Returns:
        Path: The script.

    Raises:
        FileNotFoundError: If MMPose was installed without the script.
    """
    package = Path(mmpose.__file__).parent
    # A wheel contains the tools in .mim, a checkout next to the package.
    for tools in (package / '.mim' / 'tools', package.parent / 'tools'):
        if (tools / name).is_file():
            return tools / name
    raise FileNotFoundError(
        f'{name} is neither in {package}/.mim/tools nor in {package.parent}/tools'
    )


def run_mmpose_tool(name: str) -> None:
    """Run a script in ``tools`` of the installed MMPose as the main program.

    Args:
        name (str): File name, such as ``'train.py'``. The script reads ``sys.argv``.

    Raises:
        FileNotFoundError: If MMPose was installed without the script.
    """
    runpy.run_path(str(find_mmpose_tool(name)), run_name='__main__')
