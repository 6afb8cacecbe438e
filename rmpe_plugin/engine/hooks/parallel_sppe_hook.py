# SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.model import unwrapped

KEY = 'parallel_sppe'


@HOOKS.register_module()
class ParallelSPPEHook(Hook):
    """Fills the parallel SPPE of an :class:`SSTNPoseEstimator` when training starts.

    That is after ``load_from`` has been loaded. Its weights go into the checkpoints,
    beside the model's, so that a resumed run has the same ones again.
    """

    def __init__(self) -> None:
        self._resumed: dict | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the weights out of a checkpoint that is resumed.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint. One that ``load_from`` names starts a new
                training, and its parallel SPPE is of no use there.
        """
        if runner._resume:
            self._resumed = checkpoint.get(KEY)

    def before_train(self, runner: Runner) -> None:
        """Fill it.

        Args:
            runner (Runner): The runner, with its weights loaded.

        Raises:
            ValueError: If the model has no parallel SPPE, or if training was to be
                resumed and no checkpoint with its weights was.
        """
        model = unwrapped(runner.model)
        if getattr(model, 'parallel', None) is None:
            raise ValueError(
                'ParallelSPPEHook is in custom_hooks, but model.parallel is not set'
            )
        if runner._resume and self._resumed is None:
            raise ValueError(
                'resume is set, but no checkpoint with a parallel SPPE was resumed: '
                'start without it, from load_from'
            )
        model.fill_parallel(self._resumed)
        self._resumed = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the weights to a checkpoint.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): What will be saved.
        """
        checkpoint[KEY] = unwrapped(runner.model).parallel_state()
