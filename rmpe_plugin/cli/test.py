# SPDX-License-Identifier: Apache-2.0
r"""Test a model with MMPose.

This is ``tools/test.py`` of the installed MMPose, with its arguments. The config is a
file or a name, such as rmpe_plugin::cpn/coco/NAME.py. A name that rmpe models lists, as
the first argument, takes the place of config and checkpoint.

Example:
    rmpe test td-hm_hrnet-w32_8xb64-210e_coco-256x192
    rmpe test configs/cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py \
        work_dirs/td-hm_cpn-res50_8xb32-160e_coco-256x192/epoch_160.pth
"""

import sys

from rmpe_plugin.apis import find_model
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.cli._mmpose_tool import run_with_config_names
from rmpe_plugin.cli._model_arguments import is_pose_model, take_model


@exit_status
def replace_model() -> None:
    """Replace a model at the front of the arguments by its config and checkpoint."""
    words = sys.argv[1:]
    if words and is_pose_model(words[0]):
        config, weights = find_model(*take_model(words))
        sys.argv[1:] = [str(config), str(weights), *words]


def main() -> int | None:
    return replace_model() or run_with_config_names('test.py')
