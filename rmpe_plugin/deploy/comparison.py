# SPDX-License-Identifier: Apache-2.0
"""Comparison of an exported pose estimator with the PyTorch model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import DATASETS

from rmpe_plugin.codecs import crop_pixels
from rmpe_plugin.inference import unit_scores

from .formats import Poses

# Entries of a dataset that select its files.
FILES = ('data_root', 'ann_file', 'data_prefix')


@dataclass(frozen=True)
class PoseErrors:
    """Differences between the poses of two programs.

    Args:
        keypoints (np.ndarray): Distances (N, K), pixels of the crop.
        scores (np.ndarray): Absolute differences (N, K).
    """

    keypoints: np.ndarray
    scores: np.ndarray

    @classmethod
    def between(cls, poses: Poses, expected: Poses) -> 'PoseErrors':
        """Compare keypoints (N, K, 2) and scores (N, K)."""
        distances = np.linalg.norm(poses[0] - expected[0], axis=-1)
        return cls(distances, np.abs(poses[1] - expected[1]))


def pytorch_poses(
    model: TopdownPoseEstimator, crops: Sequence[dict], batch_size: int = 32
) -> Poses:
    """Predict poses with the model itself, in pixels of the crops.

    Args:
        model (TopdownPoseEstimator): The model in eval mode.
        crops (Sequence[dict]): Outputs of the test pipeline.
        batch_size (int): Defaults to 32.

    Returns:
        tuple[np.ndarray, np.ndarray]: Keypoints (N, K, 2) in pixels of the crops and
        scores (N, K) in [0, 1].
    """
    codec = model.head.decoder
    unit = crop_pixels(codec)
    keypoints, scores = [], []
    for i in range(0, len(crops), batch_size):
        with torch.no_grad():
            samples = model.test_step(pseudo_collate(crops[i : i + batch_size]))
        for sample in samples:
            info, pose = sample.metainfo, sample.pred_instances
            corner = info['input_center'] - 0.5 * info['input_scale']
            in_crop = (pose.keypoints[0] - corner) / info['input_scale']
            keypoints.append(in_crop * info['input_size'] * unit)
            scores.append(unit_scores(pose.keypoint_scores[0], codec))
    return np.stack(keypoints), np.stack(scores)


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


def run_in_batches(
    function: Callable[[np.ndarray], Sequence[np.ndarray]],
    images: np.ndarray,
    batch_size: int,
) -> list[np.ndarray]:
    """Apply a function to batches and concatenate each of its results."""
    parts = [
        function(images[i : i + batch_size]) for i in range(0, len(images), batch_size)
    ]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]
