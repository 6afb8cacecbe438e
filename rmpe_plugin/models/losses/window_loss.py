# SPDX-License-Identifier: Apache-2.0
import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import window_corners


@MODELS.register_module()
class WindowCornerLoss(nn.Module):
    """Mean distance between the corners of predicted and ground-truth windows.

    Not part of RMPE. In training the ground-truth box is known, and with it the window
    that the STN should predict.

    Args:
        loss_weight (float): Weight of the loss. Defaults to 1.0.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, theta: Tensor, theta_gt: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            theta (Tensor): Predicted windows (B, 2, 3), see
                :mod:`rmpe_plugin.ops.rmpe.affine`.
            theta_gt (Tensor): Ground-truth windows (B, 2, 3).

        Returns:
            Tensor: Scalar loss, in normalised coordinates: the crop has width 2 and
            height 2.
        """
        difference = window_corners(theta) - window_corners(theta_gt)  # (B, 4, 2)
        distance = torch.linalg.vector_norm(difference, dim=-1)
        return self.loss_weight * distance.mean()
