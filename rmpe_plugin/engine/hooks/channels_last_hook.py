# SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Converts the model to the channels-last memory format, often faster.

    Channels-last weights produce channels-last features. Results change only by the
    order of floating-point additions.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the model's weights.

        Args:
            runner (Runner): The runner.
        """
        runner.model.to(memory_format=torch.channels_last)
