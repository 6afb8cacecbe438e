# SPDX-License-Identifier: Apache-2.0
from mmpose.registry import MODELS
from torch import Tensor, nn

from rmpe_plugin.ops import hard_keypoint_loss, keypoint_mse


@MODELS.register_module()
class OHKMMSELoss(nn.Module):
    """MSE loss with online hard keypoint mining (CPN, section 3.2.2).

    A drop-in replacement for MMPose's ``KeypointOHKMMSELoss``: the arguments are the
    same, and so is the loss for target weights of 0 and 1. For other weights this loss
    is linear in the weights, while MMPose's is quadratic.

    Args:
        use_target_weight (bool): Whether to multiply the keypoint losses by the target
            weights before the hard keypoints are selected. Defaults to ``False``.
        topk (int): Number of hard keypoints per sample. Defaults to 8.
        loss_weight (float): Weight of the loss. Defaults to 1.0.

    Raises:
        ValueError: If ``topk`` is below 1 or, in :meth:`forward`, above K.
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
            target_weights (Tensor, optional): Keypoint weights (B, K), required if
                ``use_target_weight`` is set. Defaults to ``None``.

        Returns:
            Tensor: Scalar loss.

        Raises:
            ValueError: If ``topk`` is above K, or ``target_weights`` are required and
                missing.
        """
        losses = keypoint_mse(output, target)
        if self.use_target_weight:
            if target_weights is None:
                raise ValueError(
                    'OHKMMSELoss.use_target_weight=True needs target_weights, got None'
                )
            losses = losses * target_weights
        return hard_keypoint_loss(losses, self.topk) * self.loss_weight
