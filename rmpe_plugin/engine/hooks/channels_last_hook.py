# SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor, nn

from rmpe_plugin.utils.model import unwrap_model


def _to_channels_last(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Forward pre-hook: convert the input (B, C, H, W) of a module."""
    (x,) = inputs
    return x.contiguous(memory_format=torch.channels_last)


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Runs the model in the channels-last memory format, which is often faster.

    The inputs of all backbones are converted. Convolutions return features in the
    format of their inputs. The weights keep their format, because
    ``DistributedDataParallel`` averages gradients wrongly if the format of a weight
    changes after it has wrapped the model. Results change only by the order of
    floating-point additions.
    """

    def __init__(self) -> None:
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def before_run(self, runner: Runner) -> None:
        """Convert the inputs of the backbones from now on.

        Raises:
            ValueError: If the model has no backbone.
        """
        self._handles = [
            module.register_forward_pre_hook(_to_channels_last)
            for name, module in unwrap_model(runner.model).named_modules()
            if name.rpartition('.')[2] == 'backbone'
        ]
        if not self._handles:
            raise ValueError(
                'ChannelsLastHook is in custom_hooks, but the model has no backbone'
            )

    def after_run(self, runner: Runner) -> None:
        """Stop converting."""
        for handle in self._handles:
            handle.remove()
