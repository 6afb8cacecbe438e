# SPDX-License-Identifier: Apache-2.0
"""Train a model with ``tools/train.py`` of the installed MMPose and its arguments.

Example:
    python tools/train.py configs/cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py
"""

from rmpe_plugin.utils.mmpose_tools import run_mmpose_tool

if __name__ == '__main__':
    run_mmpose_tool('train.py')
