# SPDX-License-Identifier: Apache-2.0
"""Variants of stage 2, the training of the SSTN after the CPN (stage 1)."""

from pathlib import Path

from mmengine.config import Config

from rmpe_plugin.utils.files import find_shipped

from .comparison import experiment_name
from .runs import train_and_evaluate

# The weight matches heatmap losses with a peak of 255.
WINDOW_LOSS = dict(type='WindowCornerLoss', loss_weight=5000.0)
# Changes of the model of stage 2; None removes the SSTN.
SSTN_VARIANTS: dict[str, dict | None] = {
    'no SSTN': None,
    'SSTN': dict(parallel=None),
    'SSTN, parallel SPPE': dict(),
    'SSTN, window loss': dict(parallel=None, window_loss=WINDOW_LOSS),
}


def change_sstn(config: Config, changes: dict | None) -> None:
    """Change the SSTN of a stage 2 config, or remove it; in place.

    Args:
        config (Config): Config of stage 2.
        changes (dict, optional): Changes of the model; ``None`` for a plain top-down
            model without an SSTN.
    """
    if changes is None:
        config.model.type = 'TopdownPoseEstimator'
        for key in ('stn', 'parallel'):
            config.model.pop(key)
        config.val_evaluator = [
            metric
            for metric in config.val_evaluator
            if metric.type != 'WindowIoUMetric'
        ]
    else:
        config.model.update(changes)
    if config.model.get('parallel') is None:
        config.custom_hooks = [
            hook for hook in config.custom_hooks if hook.type != 'ParallelSPPEHook'
        ]


def sstn_variant_config(
    variant: str, stage1: Path, folder: Path, cfg_options: dict
) -> Config:
    """Build the config of a variant of the quickstart's stage 2.

    Validation is on perturbed ground-truth boxes, the test on the detections.

    Args:
        variant (str): A key of :data:`SSTN_VARIANTS`.
        stage1 (Path): Checkpoint of stage 1.
        folder (Path): Folder of the trainings.
        cfg_options (dict): Other changes, as ``--cfg-options`` of ``tools/train.py``.

    Returns:
        Config: The config.
    """
    config = Config.fromfile(
        find_shipped('configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py')
    )
    config.load_from = str(stage1)
    config.model.stn.backbone.init_cfg.checkpoint = str(stage1)
    config.merge_from_dict(cfg_options)
    name = experiment_name(variant)
    config.work_dir = str(folder / name)
    config.experiment_name = name
    change_sstn(config, SSTN_VARIANTS[variant])
    return config


def train_sstn_variant(config: Config) -> dict[str, float]:
    """Train a variant and evaluate it.

    Args:
        config (Config): See :func:`sstn_variant_config`.

    Returns:
        dict[str, float]: AP with ``'detections'`` and with ``'perturbed'`` boxes, and
        with an SSTN the metrics of ``WindowIoUMetric``, which begin with ``window/``.
    """
    validation, test = train_and_evaluate(config)
    return {
        'detections': float(test['coco/AP']),
        'perturbed': float(validation['coco/AP']),
        **{k: float(v) for k, v in validation.items() if k.startswith('window/')},
    }
