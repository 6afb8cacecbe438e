# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.utils.typing import SampleList
from torch import Tensor, nn

from rmpe_plugin.models.heads import float32_heatmaps, head_on_heatmaps
from rmpe_plugin.utils.checkpoint import load_weights


class ParallelSPPE(nn.Module):
    """Frozen copy of a single-person pose estimator that supervises the STN.

    Its parameters have no gradient, and it is in eval mode, so batch-norm statistics do
    not change. Gradients flow through it to its input. RMPE paper, section 3.1; the
    authors' code freezes only a part of it.

    Args:
        sppe (TopdownPoseEstimator): Model whose backbone, neck and head are copied.
        checkpoint (str, optional): Top-down checkpoint that replaces the copied
            weights, config key ``model.parallel.checkpoint``. Defaults to ``None``.

    Raises:
        ValueError: If the checkpoint lacks a parameter of backbone, neck or head.
    """

    def __init__(
        self, sppe: TopdownPoseEstimator, checkpoint: str | None = None
    ) -> None:
        super().__init__()
        self.backbone = deepcopy(sppe.backbone)
        self.neck = deepcopy(sppe.neck) if sppe.with_neck else nn.Identity()
        self.head = deepcopy(sppe.head)
        if checkpoint is not None:
            load_weights(self, checkpoint)
        self.requires_grad_(False)
        self.eval()

    def loss(self, images: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of the head, without accuracies.

        Args:
            images (Tensor): Output of the STN (B, 3, h, w).
            data_samples (list[PoseDataSample]): Samples with centre-located targets.

        Returns:
            dict[str, Tensor]: Losses, named as by the head.
        """
        feats = self.neck(self.backbone(images))
        heatmaps = float32_heatmaps(self.head.forward(feats))
        head = head_on_heatmaps(self.head)
        losses = head.loss(heatmaps, data_samples, dict(compute_acc=False))
        return {name: value for name, value in losses.items() if 'loss' in name}
