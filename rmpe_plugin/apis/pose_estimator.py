# SPDX-License-Identifier: Apache-2.0
"""Top-down pose estimators in PyTorch, and the interface of all pose estimators."""

from pathlib import Path
from typing import Protocol

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.apis import init_model
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.models import TopdownPoseEstimator
from mmpose.models.heads.base_head import BaseHead

from rmpe_plugin.codecs import score_range
from rmpe_plugin.models.heads import float32_heatmaps
from rmpe_plugin.utils.checkpoint import load_weights

PRECISIONS = ('float32', 'bfloat16')

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


class PoseEstimator(Protocol):
    """Interface of the pose estimators.

    Attributes:
        dataset_meta (dict): MMPose's description of the keypoints.
        pipeline (Compose): Test pipeline, which crops.
        score_range (tuple[float, float]): Range of the keypoint scores.
        calibration (tuple[float, float], optional): See
            :func:`rmpe_plugin.ops.unit_scores`.
    """

    dataset_meta: dict
    pipeline: Compose
    score_range: tuple[float, float]
    calibration: tuple[float, float] | None

    def predict(self, crops: list[dict]) -> list[InstanceData]:
        """Predict the poses of crops, outputs of the pipeline."""
        ...


class TorchPoseEstimator:
    """A top-down model of MMPose or of this package.

    Args:
        config (str | Path | Config): Its config.
        checkpoint (str | Path, optional): File or URL of the weights. ``None`` leaves
            the model untrained.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        precision (str): ``'float32'``, or ``'bfloat16'`` for autocast. Defaults to
            ``'float32'``.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Attributes:
        model (TopdownPoseEstimator): The model in eval mode.
        config (Config): Its config with the changes.
        dataset_meta (dict): See :class:`PoseEstimator`.
        pipeline (Compose): See :class:`PoseEstimator`.
        score_range (tuple[float, float]): See :class:`PoseEstimator`.
        calibration (tuple[float, float], optional): See :class:`PoseEstimator`.

    Raises:
        ValueError: If a setting is invalid, or if the checkpoint does not fit the
            config.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        device: str | None = None,
        precision: str = 'float32',
        cfg_options: dict | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(
                f'precision must be one of {PRECISIONS}, got {precision!r}'
            )
        self.config = _load_config(config, cfg_options)
        self.model = load_pose_estimator(self.config, checkpoint, device)
        self.dataset_meta = self.model.dataset_meta
        decoder = self.model.head.decoder
        self.score_range = score_range(decoder)
        self.calibration = getattr(decoder, 'calibration', None)
        with DefaultScope.overwrite_default_scope('mmpose'):
            self.pipeline = Compose(self.config.test_dataloader.dataset.pipeline)
        self._bfloat16 = precision == 'bfloat16'
        if self._bfloat16:
            _return_float32(self.model.head)

    @torch.no_grad()
    def predict(self, crops: list[dict]) -> list[InstanceData]:
        """Predict the poses of crops.

        Args:
            crops (list[dict]): Outputs of the pipeline.

        Returns:
            list[InstanceData]: For each crop ``keypoints`` (1, K, 2) in pixels of the
            image, ``keypoint_scores`` (1, K), ``bboxes`` (1, 4) and ``bbox_scores``
            (1,).
        """
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._bfloat16):
            samples = self.model.test_step(pseudo_collate(crops))
        return [sample.pred_instances for sample in samples]


def _return_float32(head: BaseHead) -> None:
    """Make a head return float32 under autocast: NumPy, which decodes, has no bfloat16.

    Args:
        head (BaseHead): The head, changed in place.
    """
    forward = head.forward
    head.forward = lambda *args, **kwargs: float32_heatmaps(forward(*args, **kwargs))


def _load_config(config: str | Path | Config, cfg_options: dict | None) -> Config:
    """Load or copy the config of a top-down model and apply the options."""
    cfg = config.copy() if isinstance(config, Config) else Config.fromfile(config)
    cfg.merge_from_dict(cfg_options or {})
    if cfg.get('data_mode', 'topdown') != 'topdown':
        raise ValueError(f"config.data_mode must be 'topdown', got {cfg.data_mode!r}")
    return cfg
