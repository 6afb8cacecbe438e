# SPDX-License-Identifier: Apache-2.0
"""The mathematics of CPN and RMPE, in plain torch and numpy."""

from .accuracy import pck_accuracy
from .heatmap import decode_heatmaps, heatmap_peaks
from .ohkm import hard_keypoint_loss, keypoint_mse
from .resize import resize_heatmap

__all__ = [
    'decode_heatmaps',
    'hard_keypoint_loss',
    'heatmap_peaks',
    'keypoint_mse',
    'pck_accuracy',
    'resize_heatmap',
]
