# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Person:
    """One drawn person.

    Attributes:
        keypoints (np.ndarray): (17, 3), x, y in pixels and v; zeros where v = 0.
        bbox (np.ndarray): Box of the visible pixels, xyxy, pixels.
        full_bbox (np.ndarray): Box of the whole body, hidden parts and parts outside
            the image included, xyxy, pixels.
        area (int): Number of visible pixels.
        visible (float): Visible share of the body inside the image, 0 to 1.
    """

    keypoints: np.ndarray
    bbox: np.ndarray
    full_bbox: np.ndarray
    area: int
    visible: float
