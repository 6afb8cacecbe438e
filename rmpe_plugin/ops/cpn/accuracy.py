# SPDX-License-Identifier: Apache-2.0
"""PCK accuracy of heatmaps, computed on their own device."""

import torch
from torch import Tensor

from .decoding import heatmap_peaks


def pck_accuracy(
    pred: Tensor, target: Tensor, valid: Tensor, thr: float = 0.05
) -> Tensor:
    """Compute the share of keypoints whose predicted peak is near the target peak.

    For heatmaps with a positive maximum, the result equals that of
    ``mmpose.evaluation.functional.pose_pck_accuracy``, so that the training logs of
    different heads can be compared. Unlike MMPose's function it runs in torch and
    copies nothing to the host. As in MMPose, x is divided by H and
    y by W, and the share of each keypoint over the batch is averaged over the
    keypoints that are valid in at least one sample.

    Args:
        pred (Tensor): Predicted heatmaps (B, K, H, W).
        target (Tensor): Target heatmaps (B, K, H, W).
        valid (Tensor): Boolean mask (B, K) of the keypoints to evaluate.
        thr (float): Normalised distance below which a keypoint is correct. Defaults
            to 0.05.

    Returns:
        Tensor: Scalar between 0 and 1; 0 if no keypoint is valid.

    Example:
        >>> target = torch.eye(4).view(1, 4, 2, 2)  # keypoint k peaks at pixel k
        >>> pred = target[:, [0, 1, 3, 2]]
        >>> pck_accuracy(pred, target, torch.ones(1, 4, dtype=torch.bool))
        tensor(0.5000)
    """
    height, width = pred.shape[2:]
    x, y = (heatmap_peaks(pred) - heatmap_peaks(target)).unbind(dim=2)
    distance = torch.hypot(x / height, y / width)
    correct = ((distance < thr) & valid).sum(dim=0)
    count = valid.sum(dim=0)
    accuracy = correct / count.clamp(min=1)  # (K,)
    return accuracy.sum() / (count > 0).sum().clamp(min=1)
