# SPDX-License-Identifier: Apache-2.0
"""Run a script of MMPose that also takes names of configs."""

import re
import sys

from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.utils.configs import find_config
from rmpe_plugin.utils.mmpose_tools import run_mmpose_tool


def run_with_config_names(script: str) -> int | None:
    """Run a script of MMPose on the arguments of this command.

    Args:
        script (str): File name, such as ``'train.py'``.

    Returns:
        int | None: Exit status: 2 if a config is not found, 0 or ``None`` otherwise.
    """
    return _replace_config_names() or run_mmpose_tool(script)


@exit_status
def _replace_config_names() -> None:
    """Replace arguments such as ``rmpe_plugin::cpn/coco/NAME.py`` by paths."""
    sys.argv[1:] = [
        str(find_config(word)) if re.match(r'\w+::', word) else word
        for word in sys.argv[1:]
    ]
