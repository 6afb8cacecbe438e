# SPDX-License-Identifier: Apache-2.0
"""Heatmap accuracy for the training log, without leaving the device."""

import torch
from torch import Tensor

from .heatmap import heatmap_peaks


def pck_accuracy(pred: Tensor, target: Tensor, valid: Tensor, thr: float = 0.05):
    """Share of keypoints whose heatmap peak lies near the target's peak.

    Equal to ``mmpose.evaluation.functional.pose_pck_accuracy``, so that the logs of
    different heads can be compared, but in torch: nothing is copied to the host during
    a training step. As there, x is divided by H and y by W; the shares are taken for
    each keypoint over the batch, then averaged over the keypoints that occur.

    Args:
        pred (Tensor): Predicted heatmaps (B, K, H, W).
        target (Tensor): Target heatmaps (B, K, H, W).
        valid (Tensor): Boolean (B, K), the keypoints that count.
        thr (float): Largest normalised distance that counts as right. Defaults to
            0.05.

    Returns:
        Tensor: Scalar in 0 to 1; 0 where nothing is valid.
    """
    height, width = pred.shape[2:]
    x, y = (heatmap_peaks(pred) - heatmap_peaks(target)).unbind(dim=2)
    distance = torch.hypot(x / height, y / width)
    right = ((distance < thr) & valid).sum(dim=0)
    count = valid.sum(dim=0)
    share = right / count.clamp(min=1)
    return share.sum() / (count > 0).sum().clamp(min=1)
