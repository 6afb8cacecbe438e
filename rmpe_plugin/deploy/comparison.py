# SPDX-License-Identifier: Apache-2.0
"""Comparison of an exported pose estimator with the PyTorch model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmpose.models import TopdownPoseEstimator

from rmpe_plugin.codecs import crop_pixels

from .formats import Poses


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
        scores (N, K) in the range of the codec.
    """
    unit = crop_pixels(model.head.decoder)
    keypoints, scores = [], []
    for i in range(0, len(crops), batch_size):
        with torch.no_grad():
            samples = model.test_step(pseudo_collate(crops[i : i + batch_size]))
        for sample in samples:
            info, pose = sample.metainfo, sample.pred_instances
            corner = info['input_center'] - 0.5 * info['input_scale']
            in_crop = (pose.keypoints[0] - corner) / info['input_scale']
            keypoints.append(in_crop * info['input_size'] * unit)
            scores.append(pose.keypoint_scores[0])
    return np.stack(keypoints), np.stack(scores)


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
