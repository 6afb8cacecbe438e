# SPDX-License-Identifier: Apache-2.0
import re
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.checkpoint import load_weights
from rmpe_plugin.utils.model import unwrap_model


@HOOKS.register_module()
class FinetuneHook(Hook):
    """Starts a training from a checkpoint, except for layers that start anew.

    MMEngine's ``load_from`` keeps every layer whose shape fits. COCO and Human3.6M both
    have 17 keypoints, but not the same ones. The log lists what was kept. A training
    that was resumed is not changed.

    Args:
        checkpoint (str): File or URL of the weights.
        reinitialize (Sequence[str]): Regular expressions for the beginnings of the
            names of parameters that are not loaded.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If an expression fits no parameter, or if the checkpoint lacks
            another parameter of the model or has it in another shape.
    """

    # Runs before ParallelSPPEHook, which copies the weights.
    priority = 'HIGH'

    def __init__(self, checkpoint: str, reinitialize: Sequence[str]) -> None:
        self.checkpoint, self.reinitialize = checkpoint, tuple(reinitialize)

    def before_train(self, runner: Runner) -> None:
        """Load the weights."""
        # MMEngine has loaded the checkpoint to resume, if there is one.
        if runner.iter > 0:
            return
        model = unwrap_model(runner.model)
        names = [*model.state_dict()]
        new = self._new_names(names)
        load_weights(model, self.checkpoint, skip=new)
        print_log(
            f'{self.checkpoint}: {len(names) - len(new)} parameters and buffers are '
            f'kept, {len(new)} start anew:\n' + '\n'.join(sorted(new)),
            logger='current',
        )

    def _new_names(self, names: Sequence[str]) -> set[str]:
        """Names of the parameters and buffers that start anew."""
        new: set[str] = set()
        for expression in self.reinitialize:
            matches = {name for name in names if re.match(expression, name)}
            if not matches:
                raise ValueError(
                    f'FinetuneHook.reinitialize: {expression!r} fits no parameter of '
                    f'the model, such as {names[-1]}'
                )
            new |= matches
        return new
