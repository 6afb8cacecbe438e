# SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the model's convolutions in channels-last memory, which many machines like.

    A convolution whose weights are so gives features that are so, from the first on.
    What is computed stays the same, but for the order in which floats are added.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the model's weights.

        Args:
            runner (Runner): The runner.
        """
        runner.model.to(memory_format=torch.channels_last)
