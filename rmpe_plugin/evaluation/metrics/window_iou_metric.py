# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from torch import Tensor

from rmpe_plugin.ops import identity_affine, window_corners


def window_iou(theta: Tensor, other: Tensor) -> np.ndarray:
    """Intersection over union of windows, pair by pair.

    Args:
        theta (Tensor): (B, 2, 3).
        other (Tensor): (B, 2, 3).

    Returns:
        np.ndarray: (B,).
    """
    # mmcv.ops.box_iou_quadri would take a batch, but is wrong for slanted windows.
    pairs = zip(
        *(window_corners(x.float()).numpy() for x in (theta, other)), strict=True
    )
    overlap = np.array([cv2.intersectConvexConvex(a, b)[0] for a, b in pairs])
    # the normalised crop is 2 x 2
    area, other_area = (
        4 * torch.linalg.det(x[..., :2].double()).abs().numpy() for x in (theta, other)
    )
    return overlap / (area + other_area - overlap)


@METRICS.register_module()
class WindowIoUMetric(BaseMetric):
    """How well the STN's window covers the true box's, and the crop does without it.

    For an :class:`SSTNPoseEstimator` on perturbed true boxes: the pipeline needs
    :class:`KeepTrueBox`, a perturbation, :class:`TrueWindow` and
    :class:`PackSSTNInputs`. Gives ``window/iou``, ``window/iou_crop`` (of the crop
    itself) and ``window/gain``, their difference.

    Args:
        kwargs: As ``mmengine.evaluator.BaseMetric``'s.
    """

    default_prefix = 'window'

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the windows of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Samples with ``theta_gt`` and
                ``pred_instances.theta``.

        Raises:
            ValueError: If a sample lacks one of them.
        """
        for sample in data_samples:
            if 'theta_gt' not in sample or 'theta' not in sample['pred_instances']:
                raise ValueError(
                    'WindowIoUMetric needs an SSTNPoseEstimator, and KeepTrueBox, '
                    'TrueWindow and PackSSTNInputs in the pipeline'
                )
            theta = torch.as_tensor(sample['pred_instances']['theta'][0])
            self.results.append((theta, sample['theta_gt'].cpu()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over all samples.

        Args:
            results (list): Chosen and true windows.

        Returns:
            dict[str, float]: ``iou``, ``iou_crop`` and ``gain``.
        """
        theta, true = (torch.stack(x) for x in zip(*results, strict=True))
        iou = float(window_iou(theta, true).mean())
        iou_crop = float(window_iou(identity_affine(true), true).mean())
        return dict(iou=iou, iou_crop=iou_crop, gain=iou - iou_crop)
