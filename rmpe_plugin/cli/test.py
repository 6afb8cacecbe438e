# SPDX-License-Identifier: Apache-2.0
r"""Test a model with MMPose.

This is ``tools/test.py`` of the installed MMPose, with its arguments. The config is a
file or a name, such as rmpe_plugin::cpn/coco/NAME.py.

Example:
    rmpe test configs/cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py \
        work_dirs/td-hm_cpn-res50_8xb32-160e_coco-256x192/epoch_160.pth
"""

from rmpe_plugin.cli._mmpose_tool import run_with_config_names


def main() -> int | None:
    return run_with_config_names('test.py')
