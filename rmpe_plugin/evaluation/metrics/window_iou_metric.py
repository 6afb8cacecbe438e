# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from torch import Tensor

from rmpe_plugin.ops import identity_affine, window_corners


def window_iou(theta: Tensor, theta_gt: Tensor) -> np.ndarray:
    """Compute the intersection over union of pairs of windows.

    Args:
        theta (Tensor): Windows (B, 2, 3).
        theta_gt (Tensor): Windows (B, 2, 3).

    Returns:
        np.ndarray: IoU (B,) of theta[i] and theta_gt[i].
    """
    # mmcv.ops.box_iou_quadri takes a batch, but is wrong for sheared windows.
    corners, corners_gt = (window_corners(x.float()).numpy() for x in (theta, theta_gt))
    overlap = np.array(
        [
            cv2.intersectConvexConvex(a, b)[0]
            for a, b in zip(corners, corners_gt, strict=True)
        ]
    )
    area, area_gt = (_area(x) for x in (theta, theta_gt))
    return overlap / (area + area_gt - overlap)


def _area(theta: Tensor) -> np.ndarray:
    """Areas (B,) of windows (B, 2, 3); the crop is 2 x 2 in normalised coordinates."""
    return 4 * torch.linalg.det(theta[..., :2].double()).abs().numpy()


@METRICS.register_module()
class WindowIoUMetric(BaseMetric):
    """IoU of the STN's windows and the ground-truth windows.

    It is for an :class:`SSTNPoseEstimator` on perturbed ground-truth boxes: the
    pipeline needs :class:`SSTNBBoxCenterScale`, a perturbation,
    :class:`GroundTruthWindow` and :class:`PackSSTNInputs`. Results are ``window/iou``;
    ``window/iou_crop``, the IoU of the crop itself; and their difference
    ``window/gain``.

    Args:
        kwargs: As ``mmengine.evaluator.BaseMetric``'s.
    """

    default_prefix = 'window'

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the windows of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Samples with ``theta_gt`` (2, 3) and
                ``pred_instances.theta`` (1, 2, 3).

        Raises:
            ValueError: If a sample does not have one of them.
        """
        for sample in data_samples:
            if 'theta_gt' not in sample or 'theta' not in sample['pred_instances']:
                raise ValueError(
                    'WindowIoUMetric needs an SSTNPoseEstimator, and '
                    'SSTNBBoxCenterScale, GroundTruthWindow and PackSSTNInputs in the '
                    'pipeline'
                )
            theta = torch.from_numpy(sample['pred_instances']['theta'][0])
            self.results.append((theta, sample['theta_gt'].cpu()))

    def compute_metrics(self, results: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Average over all samples.

        Args:
            results (list[tuple[Tensor, Tensor]]): Predicted and ground-truth windows.

        Returns:
            dict[str, float]: ``iou``, ``iou_crop`` and ``gain``.
        """
        theta, theta_gt = (torch.stack(x) for x in zip(*results, strict=True))
        iou = float(window_iou(theta, theta_gt).mean())
        iou_crop = float(window_iou(identity_affine(theta_gt), theta_gt).mean())
        return dict(iou=iou, iou_crop=iou_crop, gain=iou - iou_crop)
