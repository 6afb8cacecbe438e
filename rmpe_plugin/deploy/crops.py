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
        ValueError: If the training data have no annotation file of their own.
    """
    dataset = config.test_dataloader.dataset.copy()
    if split == 'train':
        files = config.get('train_dataloader', {}).get('dataset', {})
        if 'ann_file' not in files:
            raise ValueError(
                'train_dataloader.dataset must have ann_file, as a data set of one '
                f'annotation file has, got {files.get("type", "no data set")}'
            )
        dataset.update({name: files[name] for name in FILES if name in files})
        dataset['bbox_file'] = None
    with DefaultScope.overwrite_default_scope('mmpose'):
        people = DATASETS.build(dataset)
    step = max(1, len(people) // number)
    return [people[i] for i in range(0, len(people), step)][:number]
