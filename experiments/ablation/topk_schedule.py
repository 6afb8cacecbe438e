# SPDX-License-Identifier: Apache-2.0
"""Hard keypoint mining whose number of keypoints falls during the training."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.model import unwrap_model


def scheduled_topk(progress: float, first: int, last: int) -> int:
    """Compute the number of hard keypoints.

    All numbers from ``first`` down to ``last`` are used for equally long.

    Args:
        progress (float): Share of the training that is finished, 0 to 1.
        first (int): Number at the beginning.
        last (int): Number at the end, at most ``first``.

    Returns:
        int: The number.

    Example:
        >>> [scheduled_topk(p, 17, 8) for p in (0, 0.09, 0.1, 0.5, 0.95, 1)]
        [17, 17, 16, 12, 8, 8]
    """
    return max(last, first - int(progress * (first - last + 1)))


@HOOKS.register_module()
class TopKScheduleHook(Hook):
    """Lowers ``topk`` of the head's ``OHKMMSELoss`` during the training.

    Args:
        first (int): Number of hard keypoints at the beginning.
        last (int): Number at the end.

    Raises:
        ValueError: If ``last`` is below 1 or above ``first``.
    """

    def __init__(self, first: int, last: int) -> None:
        if not 1 <= last <= first:
            raise ValueError(
                'TopKScheduleHook.last must be from 1 to first, got first '
                f'{first} and last {last}'
            )
        self.first, self.last = first, last

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set ``topk`` of the iteration.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
        """
        progress = runner.iter / runner.max_iters
        loss = unwrap_model(runner.model).head.loss_module
        loss.topk = scheduled_topk(progress, self.first, self.last)
