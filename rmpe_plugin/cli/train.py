# SPDX-License-Identifier: Apache-2.0
"""Train a model with MMPose.

This is ``tools/train.py`` of the installed MMPose, with its arguments.

Example:
    rmpe train configs/cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py
"""

from rmpe_plugin.utils.mmpose_tools import run_mmpose_tool


def main() -> None:
    run_mmpose_tool('train.py')
