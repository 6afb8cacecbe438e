# SPDX-License-Identifier: Apache-2.0
"""How well a detector's boxes suit a pose estimator."""

from dataclasses import dataclass

import numpy as np
import torch

from rmpe_plugin.evaluation.metrics.window_iou_metric import window_iou
from rmpe_plugin.inference import CropGeometry
from rmpe_plugin.ops import identity_affine, theta_from_pixels
from rmpe_plugin.utils.tables import Table

from .matching import MatchedPeople

# Change of AP with SSTN and parallel SPPE, in percentage points, by the mean IoU of the
# crops with the ground-truth windows. Means of three seeds, keypoints mapped, PGPG's
# boxes; docs/sstn.md, "When does it pay?"
_IOU = (0.626, 0.670, 0.718, 0.774, 0.837, 0.910, 1.0)
_CHANGE_OF_AP = (1.3, 1.1, 0.6, -0.2, -1.2, -2.5, -4.1)


def sstn_gain(iou: float) -> float:
    """Interpolate the change of AP that an SSTN had on synthetic people.

    Args:
        iou (float): Mean IoU of the crops with the ground-truth windows.

    Returns:
        float: Change of AP in percentage points; NaN below the measured IoUs.

    Example:
        >>> round(sstn_gain(0.67), 1), round(sstn_gain(0.85), 1)
        (1.1, -1.4)
    """
    return float(np.interp(iou, _IOU, _CHANGE_OF_AP, left=np.nan))


@dataclass(frozen=True)
class BoxQuality:
    """Comparison of matched boxes with the ground-truth boxes.

    Args:
        crop_iou (np.ndarray): IoU (N,) of each box's crop with the ground-truth window,
            which is the crop of the ground-truth box.
        labelled (np.ndarray): Whether a keypoint is labelled (N, K).
        outside_box (np.ndarray): Whether a labelled keypoint is outside of the box
            (N, K).
        outside_crop (np.ndarray): Whether a labelled keypoint is outside of the crop
            (N, K).
    """

    crop_iou: np.ndarray
    labelled: np.ndarray
    outside_box: np.ndarray
    outside_crop: np.ndarray

    @classmethod
    def of(cls, people: MatchedPeople, geometry: CropGeometry) -> 'BoxQuality':
        """Compare the boxes of people.

        Args:
            people (MatchedPeople): N people and the detection of each.
            geometry (CropGeometry): How the pose estimator crops a box.

        Returns:
            BoxQuality: The comparison.
        """
        theta_gt = ground_truth_windows(people, geometry)
        crops = _homogeneous(geometry.matrices(people.detections))
        in_crop = _transform(np.linalg.inv(crops), people.keypoints)
        last = np.array(geometry.input_size) - 1
        labelled = people.keypoints_visible > 0
        return cls(
            window_iou(identity_affine(theta_gt), theta_gt),
            labelled,
            labelled & _outside(people.keypoints, *_corners(people.detections)),
            # (0, 0) is the centre of the first pixel
            labelled & _outside(in_crop, -0.5, last + 0.5),
        )

    def table(self) -> Table:
        """Mean, median and worst tenth of the IoU, and the shares of keypoints."""
        iou, number = self.crop_iou, self.labelled.sum()
        box, crop = (x.sum() / number for x in (self.outside_box, self.outside_crop))
        rows = [
            ('IoU of crops with ground-truth windows, mean', f'{iou.mean():.3f}'),
            ('IoU, median', f'{np.median(iou):.3f}'),
            ('IoU, the worst tenth is below', f'{np.quantile(iou, 0.1):.3f}'),
            ('labelled keypoints outside of the box', f'{box:.1%}'),
            ('labelled keypoints outside of the crop', f'{crop:.1%}'),
            ('change of AP with an SSTN at this mean IoU', _gain_cell(iou.mean())),
        ]
        return Table((f'boxes of {len(iou)} matched people', 'value'), rows)


def ground_truth_windows(people: MatchedPeople, geometry: CropGeometry) -> torch.Tensor:
    """Compute the windows that an STN should select in the crops of detections.

    Args:
        people (MatchedPeople): N people and the detection of each.
        geometry (CropGeometry): How the pose estimator crops a box.

    Returns:
        Tensor: theta (N, 2, 3), float64: the crops of the ground-truth boxes.
    """
    crops, gt_crops = (
        _homogeneous(geometry.matrices(boxes))
        for boxes in (people.detections, people.gt_bboxes)
    )
    gt_crop_to_crop = (np.linalg.inv(crops) @ gt_crops)[:, :2]
    size = geometry.input_size[::-1]
    return theta_from_pixels(torch.from_numpy(gt_crop_to_crop), size, size)


def _gain_cell(iou: float) -> str:
    """The gain of an SSTN, with the data on which it was measured."""
    gain = sstn_gain(iou)
    if np.isnan(gain):
        return f'not measured below {_IOU[0]}'
    return f'{gain:+.1f} on synthetic people'


def _homogeneous(matrices: np.ndarray) -> np.ndarray:
    """Affine matrices (N, 3, 3) of (N, 2, 3)."""
    last = np.broadcast_to([[0.0, 0.0, 1.0]], (len(matrices), 1, 3))
    return np.concatenate((matrices, last), axis=1)


def _transform(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (N, K, 2) by affine matrices (N, 3, 3)."""
    linear, shift = matrices[:, :2, :2], matrices[:, :2, 2]
    return points @ linear.swapaxes(1, 2) + shift[:, None]


def _corners(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last corners (N, 1, 2) of boxes (N, 4)."""
    return boxes[:, None, :2], boxes[:, None, 2:]


def _outside(
    points: np.ndarray, first: np.ndarray | float, last: np.ndarray
) -> np.ndarray:
    """Whether points (N, K, 2) are outside of a box."""
    return ((points < first) | (points > last)).any(axis=-1)
