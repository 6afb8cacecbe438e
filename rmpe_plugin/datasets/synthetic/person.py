# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Person:
    """Ground truth of one person in a rendered image.

    Attributes:
        keypoints (np.ndarray): x and y in pixels and COCO's v (17, 3); zeros where
            v = 0.
        mpii_keypoints (np.ndarray): The same for MPII's keypoints (16, 3).
        head_box (np.ndarray): Box of the head (4,), including occluded parts, xyxy,
            pixels.
        bbox (np.ndarray): Box of the visible pixels (4,), xyxy, pixels.
        full_bbox (np.ndarray): Box of the whole body (4,), including occluded parts and
            parts outside the image, xyxy, pixels.
        area (int): Number of visible pixels.
        visible (float): Fraction of the body's pixels inside the image that is visible,
            0 to 1.
    """

    keypoints: np.ndarray
    mpii_keypoints: np.ndarray
    head_box: np.ndarray
    bbox: np.ndarray
    full_bbox: np.ndarray
    area: int
    visible: float
