# SPDX-License-Identifier: Apache-2.0
"""Crops of the data sets of a config."""

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS

# Entries of a dataset that select its files.
FILES = ('data_root', 'ann_file', 'data_prefix')


def dataset_crops(config: Config, split: str, number: int) -> list[dict]:
    """Crop people of a data set with the test pipeline.

    Args:
        config (Config): Config of a pose estimator.
        split (str): ``'test'``, or ``'train'`` for people of the training data.
        number (int): Maximum number of people, evenly spaced in the data set.

    Returns:
        list[dict]: Outputs of the test pipeline.

    Raises:
        FileNotFoundError: If the annotations do not exist.
    """
    dataset = config.test_dataloader.dataset.copy()
    if split == 'train':
        files = config.train_dataloader.dataset
        dataset.update({name: files[name] for name in FILES if name in files})
        dataset['bbox_file'] = None
    with DefaultScope.overwrite_default_scope('mmpose'):
        people = DATASETS.build(dataset)
    step = max(1, len(people) // number)
    return [people[i] for i in range(0, len(people), step)][:number]
