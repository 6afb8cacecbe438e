# SPDX-License-Identifier: Apache-2.0
"""Loading of top-down pose estimators."""

from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmpose.apis import init_model
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.models import TopdownPoseEstimator

from rmpe_plugin.utils.checkpoint import load_weights

# Entries of dataset_meta that inference needs.
META_KEYS = ('dataset_name', 'num_keypoints', 'flip_indices', 'skeleton_links')


def load_pose_estimator(
    config: Config, checkpoint: str | Path | None, device: str | None = None
) -> TopdownPoseEstimator:
    """Build a pose estimator in eval mode and load its weights.

    Args:
        config (Config): Config of a top-down pose estimator.
        checkpoint (str | Path, optional): File or URL of the weights. ``None`` leaves
            the model untrained.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.

    Returns:
        TopdownPoseEstimator: The model. Its ``dataset_meta`` is that of the checkpoint,
        or that of the config's training data if the checkpoint has none, as in MMPose.

    Raises:
        ValueError: If the checkpoint lacks a parameter of the model, or if neither the
            checkpoint nor the config describes the keypoints that the model predicts.
    """
    with DefaultScope.overwrite_default_scope('mmpose'):
        meta = dataset_meta_from_config(config)
        model = init_model(config, None, device=device or get_device())
    if checkpoint is not None:
        meta = load_weights(model, checkpoint).get('dataset_meta', meta)
    model.dataset_meta = _checked_meta(meta, checkpoint, model)
    return model


def _checked_meta(
    meta: dict | None, checkpoint: str | Path | None, model: TopdownPoseEstimator
) -> dict:
    """Raise unless the meta information describes the model's keypoints."""
    meta = {} if meta is None else meta
    missing = [key for key in META_KEYS if key not in meta]
    if missing:
        raise ValueError(
            f'neither dataset_meta of the checkpoint {checkpoint} nor '
            'train_dataloader.dataset of the config describes the keypoints: '
            f'{", ".join(missing)} missing, got {", ".join(meta) or "no entries"}'
        )
    number = getattr(model.head, 'out_channels', meta['num_keypoints'])
    if number != meta['num_keypoints']:
        raise ValueError(
            f'the model predicts {number} keypoints, dataset_meta of {checkpoint} '
            f'describes {meta["num_keypoints"]} of {meta["dataset_name"]}'
        )
    return meta
