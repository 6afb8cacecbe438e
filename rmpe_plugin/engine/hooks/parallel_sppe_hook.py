# SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu
from mmpose.registry import HOOKS

from rmpe_plugin.utils.model import unwrap_model

KEY = 'parallel_sppe'


@HOOKS.register_module()
class ParallelSPPEHook(Hook):
    """Creates the parallel SPPE of an :class:`SSTNPoseEstimator` for training.

    It is created when training starts, after ``load_from`` or a checkpoint is loaded.
    Its weights are saved in checkpoints as ``parallel_sppe``, beside the model's state
    dict, and are restored when training is resumed.
    """

    def __init__(self) -> None:
        self._resumed: dict | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the parallel SPPE's weights of a checkpoint that is resumed.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint. If it is from ``load_from``, its parallel
                SPPE is ignored.
        """
        if runner._resume:
            self._resumed = checkpoint.get(KEY)

    def before_train(self, runner: Runner) -> None:
        """Create the parallel SPPE.

        Args:
            runner (Runner): The runner, whose model has its weights.

        Raises:
            ValueError: If the model has no parallel SPPE, or if ``resume`` is set and
                no checkpoint with a parallel SPPE was loaded.
        """
        model = unwrap_model(runner.model)
        if getattr(model, 'parallel_cfg', None) is None:
            raise ValueError(
                'ParallelSPPEHook is in custom_hooks, but model.parallel is not set'
            )
        if runner._resume and self._resumed is None:
            raise ValueError(
                'resume is set, but no checkpoint with a parallel SPPE was resumed: '
                'train without resume, and with load_from'
            )
        model.init_parallel_sppe(self._resumed)
        self._resumed = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the weights to a checkpoint, on the CPU like the model's.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint, changed in place.
        """
        state = unwrap_model(runner.model).parallel_sppe.state_dict()
        checkpoint[KEY] = weights_to_cpu(state)
