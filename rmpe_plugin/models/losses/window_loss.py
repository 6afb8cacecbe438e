# SPDX-License-Identifier: Apache-2.0
import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import window_corners


@MODELS.register_module()
class WindowCornerLoss(nn.Module):
    """Mean distance between the corners of chosen and true windows.

    Not in the RMPE paper: in training the true box is known, hence also the window
    that the STN should choose.

    Args:
        loss_weight (float): Factor. Distances are in normalised coordinates, where the
            crop is 2 wide. Defaults to 1.0.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, theta: Tensor, theta_gt: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            theta (Tensor): Chosen windows (B, 2, 3).
            theta_gt (Tensor): True windows (B, 2, 3).

        Returns:
            Tensor: A number.
        """
        gap = window_corners(theta) - window_corners(theta_gt)
        return self.loss_weight * torch.linalg.vector_norm(gap, dim=-1).mean()
