# SPDX-License-Identifier: Apache-2.0
"""Variants of the CPN that is trained on photographs."""

import hashlib
from pathlib import Path

from mmengine.config import Config

from rmpe_plugin.utils.files import find_shipped

from .comparison import experiment_name
from .runs import train

CONFIG = 'configs/cpn/photo/td-hm_cpn-mobilenetv2_stage1_photo-256x192.py'
# Changes of the config.
PHOTO_VARIANTS: dict[str, dict] = {
    'stage 1': {},
    'without MoveNet': {
        'load_from': None,
        'model.backbone.frozen_stages': -1,
        'model.backbone.norm_eval': False,
        'model.neck.frozen': False,
    },
    'without its pyramid': {
        'model.neck': None,
        'model.head.in_channels': [40, 56, 112, 560],
    },
    'GlobalNet': {'model.head.refine_net': None},
    'M = 8': {'model.head.loss.topk': 8},
}


def photo_variant_config(
    variant: str, seed: int, epochs: int, folder: Path, cfg_options: dict
) -> Config:
    """Build the config of a variant.

    Args:
        variant (str): A key of :data:`PHOTO_VARIANTS`.
        seed (int): Seed of the training.
        epochs (int): Length of the training and of its learning rate schedule.
        folder (Path): Folder of the trainings.
        cfg_options (dict): Other changes, as ``--cfg-options`` of ``tools/train.py``.

    Returns:
        Config: The config.
    """
    config = Config.fromfile(find_shipped(CONFIG))
    config.merge_from_dict(PHOTO_VARIANTS[variant])
    config.train_cfg.max_epochs = epochs
    config.param_scheduler[-1].end = epochs
    config.randomness.seed = seed
    config.merge_from_dict(cfg_options)
    options = hashlib.sha256(repr([epochs, cfg_options]).encode()).hexdigest()[:8]
    name = experiment_name(variant, seed, options)
    config.work_dir = str(folder / name)
    config.experiment_name = name
    return config


def train_photo_variant(config: Config) -> dict[str, float]:
    """Train a variant and evaluate it on the people held out.

    Args:
        config (Config): See :func:`photo_variant_config`. An interrupted training in
            its ``work_dir`` is continued.

    Returns:
        dict[str, float]: Metrics of ``TorsoPCK``, and ``coco/AP`` and ``coco/AP .5``.
    """
    metrics = train(config).val()
    wanted = ('coco/AP', 'coco/AP .5')
    return {
        name: float(value)
        for name, value in metrics.items()
        if name.startswith('torso/') or name in wanted
    }
