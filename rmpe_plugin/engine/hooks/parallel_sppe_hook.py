# SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ParallelSPPEHook(Hook):
    """Fill the parallel SPPE of an :class:`SSTNPoseEstimator` when training starts.

    That is after ``load_from`` or a resumed checkpoint has been loaded. So a resumed
    run freezes the weights it resumes with; ``model.parallel.checkpoint`` names weights
    that stay the same.
    """

    def before_train(self, runner: Runner) -> None:
        """Fill it.

        Args:
            runner (Runner): The runner, with its weights loaded.

        Raises:
            ValueError: If the model has no parallel SPPE.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if getattr(model, 'parallel', None) is None:
            raise ValueError(
                'ParallelSPPEHook is in custom_hooks, but model.parallel is not set'
            )
        model.fill_parallel()
