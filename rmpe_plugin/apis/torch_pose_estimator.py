# SPDX-License-Identifier: Apache-2.0
"""Top-down pose estimators in PyTorch."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.apis import init_model
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.models import TopdownPoseEstimator
from torch import Tensor

from rmpe_plugin.inference import (
    CorePool,
    CropGeometry,
    Images,
    PeopleCropper,
    PoseGraph,
    estimate_poses,
    fuse_batch_norms,
    network_color,
    unit_scores,
)
from rmpe_plugin.models.heads import return_float32
from rmpe_plugin.utils.checkpoint import load_weights
from rmpe_plugin.utils.model_zoo import find_model

from .pose_estimator import PRECISIONS, load_config

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
    dataset = config.get('train_dataloader', {}).get('dataset', {})
    if dataset.get('metainfo', {}) is None:
        # CheckedCocoDataset reads the annotations instead, which MMPose does not do.
        config = config.copy()
        del config.train_dataloader.dataset.metainfo
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


class TorchPoseEstimator:
    """A top-down model of MMPose or of this package.

    If the test pipeline and the model are of the standard form, all people are cropped,
    estimated and decoded in batches on the device, with batch normalisation fused into
    the convolutions. Otherwise the config's test pipeline and codec process one person
    at a time, and the log says why. The standard form is that of
    :meth:`rmpe_plugin.inference.CropGeometry.of_pipeline` and
    :class:`rmpe_plugin.inference.PoseGraph`.

    Args:
        config (str | Path | Config): Its config, or its name, see :func:`find_model`.
        checkpoint (str | Path, optional): File or URL of the weights. Defaults to
            ``None``: those in the index; a config is left untrained.
        device (str, optional): Defaults to ``None``: the device that MMEngine selects,
            CUDA if available.
        precision (str): ``'float32'``, or ``'bfloat16'`` for autocast. Defaults to
            ``'float32'``.
        cfg_options (dict, optional): Changes to the config. Defaults to ``None``.

    Attributes:
        model (TopdownPoseEstimator): The model in eval mode.
        config (Config): Its config with the changes.
        pipeline (Compose): Test pipeline, which crops one person.
        graph (PoseGraph, optional): The model for batches of crops; ``None`` if the
            config is not of the standard form.
        cropper (PeopleCropper, optional): Makes these batches.
        dataset_meta (dict): See :class:`PoseEstimator`.
        runtime (str): See :class:`PoseEstimator`.

    Raises:
        ValueError: If a setting is invalid, or if the checkpoint does not fit the
            config.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        precision: str = 'float32',
        cfg_options: dict | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(
                f'precision must be one of {PRECISIONS}, got {precision!r}'
            )
        if not isinstance(config, Config):
            config, checkpoint = find_model(config, checkpoint)
        self.config = load_config(config, cfg_options)
        self.model = load_pose_estimator(self.config, checkpoint, device)
        self.dataset_meta = self.model.dataset_meta
        steps = self.config.test_dataloader.dataset.pipeline
        with DefaultScope.overwrite_default_scope('mmpose'):
            self.pipeline = Compose(steps)
        self.device = next(self.model.parameters()).device
        self.runtime = f'PyTorch {torch.__version__}, {self.device}'
        self._cores = CorePool() if self.device.type == 'cpu' else None
        self.graph: PoseGraph | None
        self.cropper: PeopleCropper | None
        self.graph, self.cropper = self._batched_parts(steps)
        self._bfloat16 = precision == 'bfloat16'
        if self._bfloat16:
            return_float32(self.model.head)

    def _batched_parts(
        self, steps: list[dict]
    ) -> tuple[PoseGraph, PeopleCropper] | tuple[None, None]:
        """Graph and cropper, or ``None`` if the config is not of the standard form."""
        try:
            color = network_color(self.model.data_preprocessor)
            graph = PoseGraph(self.model, color)
            geometry = CropGeometry.of_pipeline(steps, self.model.head.decoder)
        except ValueError as error:
            print_log(f'people are processed one by one: {error}', logger='current')
            return None, None
        graph = fuse_batch_norms(graph, geometry.input_size)
        return graph, PeopleCropper(geometry, self.device, color)

    def estimate(
        self, images: Images, people: Sequence[InstanceData], batch_size: int
    ) -> InstanceData:
        """Estimate poses, see :meth:`PoseEstimator.estimate`."""
        if self.graph is None or self.cropper is None:
            return self.estimate_by_pipeline(images, people, batch_size)
        graph = partial(self._run, self.graph)
        return estimate_poses(
            graph, self.cropper, images, people, batch_size, self._cores
        )

    def _run(
        self, graph: PoseGraph, crops: Tensor, matrices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keypoints (B, K, 2) in pixels of the images, and scores (B, K)."""
        # Both modes are those of the calling thread.
        with torch.inference_mode(), self._autocast():
            return graph(crops, matrices)

    def estimate_by_pipeline(
        self, images: Images, people: Sequence[InstanceData], batch_size: int
    ) -> InstanceData:
        """Estimate poses by the config's test pipeline and the model's ``predict``.

        Args:
            images (Images): As of :meth:`estimate`.
            people (Sequence[InstanceData]): Of each image also ``bbox_scores`` (N,).
            batch_size (int): As of :meth:`estimate`.

        Returns:
            InstanceData: As of :meth:`estimate`, with all fields that the model
            predicts.
        """
        crops = self.crops(images, people)
        poses: list[InstanceData] = []
        while batch := list(islice(crops, batch_size)):
            with torch.no_grad(), self._autocast():
                samples = self.model.test_step(pseudo_collate(batch))
            poses += [sample.pred_instances for sample in samples]
        everyone = InstanceData.cat(poses)
        for name in ('keypoint_scores', 'keypoints_visible'):
            scores = unit_scores(everyone[name], self.model.head.decoder)
            setattr(everyone, name, scores)
        return everyone

    def crops(self, images: Images, people: Sequence[InstanceData]) -> Iterator[dict]:
        """Crop each person with the test pipeline.

        Args:
            images (Images): As of :meth:`estimate`.
            people (Sequence[InstanceData]): As of :meth:`estimate_by_pipeline`.

        Yields:
            dict: Model input of one person, not collated.
        """
        for image, boxes in zip(images, people, strict=True):
            for bbox, score in zip(boxes.bboxes, boxes.bbox_scores, strict=True):
                yield self.pipeline(
                    dict(
                        self.dataset_meta,
                        img=image,
                        bbox=bbox[None].astype(np.float32),
                        bbox_score=score[None].astype(np.float32),
                    )
                )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)
