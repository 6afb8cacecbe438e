# SPDX-License-Identifier: Apache-2.0
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import hard_keypoint_loss, keypoint_mse


@MODELS.register_module()
class OHKMMSELoss(nn.Module):
    """MSE loss with online hard keypoint mining (CPN, section 3.2.2).

    Called as MMPose's ``KeypointOHKMMSELoss`` is, so that a config changes the type
    only, and equal to it for weights of 0 and 1; there the loss grows with the square
    of other weights, here it is linear in them.

    Args:
        use_target_weight (bool): Whether keypoint losses are multiplied by their
            target weights before the hard ones are chosen. Defaults to ``False``.
        topk (int): How many keypoints of each sample count. Defaults to 8.
        loss_weight (float): Weight of the loss. Defaults to 1.0.

    Raises:
        ValueError: If ``topk`` is below 1, or in :meth:`forward` above K.
    """

    def __init__(
        self,
        use_target_weight: bool = False,
        topk: int = 8,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if topk < 1:
            raise ValueError(f'OHKMMSELoss.topk must be at least 1, got {topk}')
        self.use_target_weight = use_target_weight
        self.topk = topk
        self.loss_weight = loss_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            output (Tensor): Predicted heatmaps (B, K, H, W).
            target (Tensor): Target heatmaps (B, K, H, W).
            target_weights (Tensor, optional): Keypoint weights (B, K), needed with
                ``use_target_weight``.

        Returns:
            Tensor: Scalar loss.
        """
        losses = keypoint_mse(output, target)
        if self.use_target_weight:
            if target_weights is None:
                raise ValueError('OHKMMSELoss.use_target_weight needs target_weights')
            losses = losses * target_weights
        return hard_keypoint_loss(losses, self.topk) * self.loss_weight
