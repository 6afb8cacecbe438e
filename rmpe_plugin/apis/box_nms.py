# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression of boxes."""

import cv2
import numpy as np


def suppress_boxes(
    boxes: np.ndarray, scores: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Suppress boxes that overlap one with a higher score.

    Args:
        boxes (np.ndarray): Boxes (N, 4), xyxy, float32.
        scores (np.ndarray): Their scores (N,), float32. Boxes with score 0 are dropped.
        iou_threshold (float): Intersection over union above which a box is suppressed.

    Returns:
        np.ndarray: Indices of the kept boxes (M,), by decreasing score.
    """
    sides = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    # Not torchvision's function: the import takes a second.
    kept = cv2.dnn.NMSBoxes(sides, scores, 0.0, iou_threshold)  # type: ignore[arg-type]
    return np.array(kept, int)
