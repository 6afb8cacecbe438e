# SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.models.heads import return_float32
from rmpe_plugin.utils.model import unwrap_model


@HOOKS.register_module()
class Float32HeatmapsHook(Hook):
    """Makes the head return float32 heatmaps during training with bfloat16 autocast.

    MMPose's heads compute the accuracy of every batch in NumPy, which has no bfloat16,
    and raise ``TypeError`` otherwise. ``CPNHead`` does not need the hook.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the heatmaps from now on.

        Args:
            runner (Runner): The runner.

        Raises:
            ValueError: If the model has no head.
        """
        model = unwrap_model(runner.model)
        if not hasattr(model, 'head'):
            raise ValueError(
                'Float32HeatmapsHook is in custom_hooks, but the model has no head'
            )
        return_float32(model.head)

    def after_run(self, runner: Runner) -> None:
        """Stop converting.

        Args:
            runner (Runner): The runner.
        """
        del unwrap_model(runner.model).head.forward
