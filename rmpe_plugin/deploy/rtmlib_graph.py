# SPDX-License-Identifier: Apache-2.0
"""A pose estimator in the format of rtmlib's class ``RTMPose``."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rmpe_plugin.inference import PoseGraph

from .metadata import PoseMetadata

# rtmlib 0.0.16 subtracts and divides by these in the order of the channels, BGR.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
# Bins per pixel of the SimCC vectors.
SPLIT_RATIO = 2
# rtmlib drops the position of a keypoint whose score is not positive.
MIN_SCORE = 1e-6


class RTMLibNormalisation(nn.Module):
    """Normalisation of a class of rtmlib, and its inverse.

    Args:
        mean (Sequence[float]): Means in the order in which rtmlib applies them to the
            channels of a BGR image.
        std (Sequence[float]): Standard deviations.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in dict(mean=mean, std=std).items():
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Revert the normalisation of images (B, 3, h, w)."""
        return images * self.std + self.mean

    def apply_to(self, images: np.ndarray) -> np.ndarray:
        """Normalise images (B, 3, h, w), BGR, uint8, as rtmlib does."""
        return (images.astype(np.float32) - self.mean.numpy()) / self.std.numpy()


class RTMLibGraph(nn.Module):
    """Wraps :class:`PoseGraph` for rtmlib's class ``RTMPose``, which expects SimCC.

    The input is a BGR crop that rtmlib has normalised. The normalisation is reverted
    and the model's own is applied. The outputs are SimCC vectors: one bin is the score
    in [0, 1], the others are 0. A bin is half a pixel wide, so keypoints are rounded by
    at most a quarter of a pixel along each axis; keypoints outside the crop are moved
    to its border.

    Args:
        graph (PoseGraph): The pose estimator, for BGR crops.
        metadata (PoseMetadata): Its metadata.
    """

    def __init__(self, graph: PoseGraph, metadata: PoseMetadata) -> None:
        super().__init__()
        self.pose_graph = graph
        self.metadata = metadata
        self.rtmlib = RTMLibNormalisation(MEAN, STD)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Predict SimCC vectors.

        Args:
            crops (Tensor): Crops (B, 3, h, w), normalised by rtmlib.

        Returns:
            tuple[Tensor, Tensor]: ``simcc_x`` (B, K, 2 w) and ``simcc_y`` (B, K, 2 h).
        """
        keypoints, scores = self.pose_graph(self.rtmlib(crops))
        scores = scores.clamp(min=MIN_SCORE)
        return tuple(
            _one_hot(keypoints[..., axis], SPLIT_RATIO * size, scores)
            for axis, size in enumerate(self.metadata.input_size)
        )


def _one_hot(positions: Tensor, bins: int, heights: Tensor) -> Tensor:
    """Vectors (B, K, bins) with one value at each position (B, K), pixels."""
    index = (SPLIT_RATIO * positions).round().clamp(0, bins - 1)
    bin_index = torch.arange(bins, device=index.device)
    return torch.where(bin_index == index[..., None], heights[..., None], 0.0)
