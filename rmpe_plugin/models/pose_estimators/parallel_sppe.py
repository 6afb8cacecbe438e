# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

from mmengine.runner.checkpoint import load_checkpoint
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.utils.typing import SampleList
from torch import Tensor, nn


class ParallelSPPE(nn.Module):
    """A frozen copy of a single-person pose estimator, which judges the STN's output.

    No parameter gets a gradient and the module stays in eval mode whatever it is told,
    so batch-norm statistics stand still; the gradient passes through to its input.
    RMPE paper, section 3.1; the authors' own code freezes it in part only.

    Args:
        sppe (TopdownPoseEstimator): The model whose backbone, neck and head are
            copied.
        checkpoint (str, optional): A top-down checkpoint to fill the copy from
            instead. Defaults to ``None``.
    """

    def __init__(
        self, sppe: TopdownPoseEstimator, checkpoint: str | None = None
    ) -> None:
        super().__init__()
        self.backbone = deepcopy(sppe.backbone)
        self.neck = deepcopy(sppe.neck) if sppe.with_neck else nn.Identity()
        self.head = deepcopy(sppe.head)
        if checkpoint is not None:
            load_checkpoint(self, checkpoint, map_location='cpu')
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'ParallelSPPE':
        """Stay in eval mode."""
        return super().train(False)

    def loss(self, images: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """The head's losses, accuracies left out.

        Args:
            images (Tensor): The STN's output (B, 3, h, w).
            data_samples (list[PoseDataSample]): Samples with centre-located targets.

        Returns:
            dict[str, Tensor]: The losses under the head's names.
        """
        feats = self.neck(self.backbone(images))
        losses = self.head.loss(feats, data_samples, dict(compute_acc=False))
        return {name: value for name, value in losses.items() if 'loss' in name}
