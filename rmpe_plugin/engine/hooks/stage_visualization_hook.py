# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.model import unwrap_model
from rmpe_plugin.visualization import draw_batch_stages


@HOOKS.register_module()
class StageVisualizationHook(Hook):
    """Draws the stages of a model on crops, in validation and test.

    The sheet of :func:`rmpe_plugin.visualization.draw_batch_stages` (crop and STN
    window, heatmaps of GlobalNet and RefineNet, SDTN) is passed to the runner's
    visualizer.

    Args:
        interval (int): One of ``interval`` batches is drawn, starting with the first.
            Defaults to 50.
        num (int): Number of crops of such a batch. Defaults to 4.

    Raises:
        ValueError: If an argument is below 1.
    """

    def __init__(self, interval: int = 50, num: int = 4) -> None:
        for name, value in (('interval', interval), ('num', num)):
            if value < 1:
                raise ValueError(
                    f'StageVisualizationHook.{name} must be at least 1, got {value}'
                )
        self.interval, self.num = interval, num

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence | None = None,
        mode: str = 'train',
    ) -> None:
        """Draw a batch of validation or test."""
        if mode == 'train' or batch_idx % self.interval:
            return
        batch = {key: values[: self.num] for key, values in data_batch.items()}
        sheet = draw_batch_stages(unwrap_model(runner.model), batch)
        runner.visualizer.add_image(
            f'stages_{mode}_{batch_idx}', sheet[..., ::-1], step=runner.epoch
        )
