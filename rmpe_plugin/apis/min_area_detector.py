# SPDX-License-Identifier: Apache-2.0
"""Detection without people who are small in the image."""

from typing import Any

import numpy as np
from mmengine.structures import InstanceData

from .detector import Detector


class MinAreaDetector(Detector):
    """Drops the boxes of a detector that have a smaller area.

    Args:
        detector (Detector): The detector.
        min_area (float): Area of the smallest box that is kept, square pixels.

    Example:
        >>> from rmpe_plugin.apis import MinAreaDetector, load_detector
        >>> detector = MinAreaDetector(load_detector(), 32 * 32)  # doctest: +SKIP
        >>> (people,) = detector([image])  # doctest: +SKIP
    """

    def __init__(self, detector: Detector, min_area: float) -> None:
        self.detector, self.min_area = detector, min_area

    def preprocess(self, image: np.ndarray) -> Any:
        """Prepare an image, see :meth:`Detector.preprocess`."""
        return self.detector.preprocess(image)

    def predict(self, inputs: list) -> list[InstanceData]:
        """Detect people, see :meth:`Detector.predict`."""
        found = self.detector.predict(inputs)
        return [people[_areas(people.bboxes) >= self.min_area] for people in found]


def _areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) of boxes (N, 4), xyxy."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
