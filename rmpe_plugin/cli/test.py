# SPDX-License-Identifier: Apache-2.0
r"""Test a model with MMPose.

This is ``tools/test.py`` of the installed MMPose, with its arguments.

Example:
    rmpe test configs/cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py \
        work_dirs/td-hm_cpn-res50_8xb32-160e_coco-256x192/epoch_160.pth
"""

from rmpe_plugin.utils.mmpose_tools import run_mmpose_tool


def main() -> None:
    run_mmpose_tool('test.py')
