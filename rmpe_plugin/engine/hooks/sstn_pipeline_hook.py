# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.utils.data import Dataset

from rmpe_plugin.datasets.transforms import check_sstn_pipeline


@HOOKS.register_module()
class SSTNPipelineHook(Hook):
    """Checks the training pipelines of stage 2 of RMPE before a sample is loaded.

    A pipeline consists of transforms that do not know each other, and a wrong order
    would train without an error: a half-body crop, for example, looks like the error of
    a detector.
    """

    def before_train(self, runner: Runner) -> None:
        """Check the pipeline of each data set, also in wrappers and combinations.

        Args:
            runner (Runner): The runner.

        Raises:
            ValueError: See
                :func:`rmpe_plugin.datasets.transforms.check_sstn_pipeline`.
        """
        for transforms in _pipelines(runner.train_dataloader.dataset):
            check_sstn_pipeline(transforms)


def _pipelines(dataset: Dataset) -> Iterator[list]:
    """Transforms of a data set, or of each one in a wrapper or combination."""
    pipeline = getattr(dataset, 'pipeline', None)
    own = [] if pipeline is None else pipeline.transforms
    if hasattr(dataset, 'datasets'):
        parts = dataset.datasets
    elif hasattr(dataset, 'dataset'):
        parts = [dataset.dataset]
    else:
        yield own
        return
    for part in parts:
        # The pipeline of a combination continues those of its data sets.
        yield from ([*transforms, *own] for transforms in _pipelines(part))
