# SPDX-License-Identifier: Apache-2.0
"""Normalisation of rtmlib, which an exported file reverts."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


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
