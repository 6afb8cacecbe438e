# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from rmpe_plugin.utils.model import unwrapped
from rmpe_plugin.visualization import stage_pictures, stage_sheet


@HOOKS.register_module()
class StageVisualizationHook(Hook):
    """Shows in validation and test what the model does to crops, stage by stage.

    Crop and STN window, heatmaps of GlobalNet and RefineNet, SDTN: a sheet as
    :func:`rmpe_plugin.visualization.stage_sheet` draws it, handed to the runner's
    visualiser, which writes it where its backends do.

    Args:
        interval (int): Of every so many batches one is drawn, from the first on.
            Defaults to 50.
        num (int): How many of its people. Defaults to 4.

    Raises:
        ValueError: If one is below 1.
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
        """Draw a batch of validation or test; not of training, where it would cost."""
        if mode == 'train' or batch_idx % self.interval:
            return
        model = unwrapped(runner.model)
        batch = {key: values[: self.num] for key, values in data_batch.items()}
        batch = model.data_preprocessor(batch)
        windows = [sample.get('theta_gt') for sample in batch['data_samples']]
        sheet = stage_sheet(
            stage_pictures(model, batch['inputs'], true_windows=windows)
        )
        runner.visualizer.add_image(
            f'stages_{mode}_{batch_idx}', sheet[..., ::-1], step=runner.epoch
        )
