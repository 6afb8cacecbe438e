# SPDX-License-Identifier: Apache-2.0
"""Detection in overlapping tiles, for people who are small in the image."""

from typing import Any, NamedTuple

import numpy as np
from mmengine.structures import InstanceData

from .box_nms import suppress_boxes
from .detector import Detector

# Sides of a tile, relative to the image.
TILE = 0.6
# Boxes that end nearer to an inner border of a tile, relative to its side, are cut.
MARGIN = 0.02
# Boxes with a larger overlap are of one person.
IOU_THRESHOLD = 0.6


class _View(NamedTuple):
    """The whole image or a tile of it, prepared for the detector."""

    region: np.ndarray  # (4,), xyxy in pixels of the image
    inner: np.ndarray  # (4,), which of its sides are inside the image
    prepared: Any


class TiledDetector(Detector):
    """Detects people in the whole image and in four overlapping tiles.

    A tile has 0.6 of the width and height of the image. Boxes that an inner border of a
    tile cuts off are dropped, and duplicates are suppressed. It takes about five times
    as long.

    Args:
        detector (Detector): The detector of each tile.

    Example:
        >>> from rmpe_plugin.apis import TiledDetector, load_detector
        >>> detector = TiledDetector(load_detector('person'))  # doctest: +SKIP
        >>> (people,) = detector([image])  # doctest: +SKIP
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def preprocess(self, image: np.ndarray) -> list[_View]:
        """Prepare the image and its tiles, see :meth:`Detector.preprocess`."""
        size = np.tile(image.shape[1::-1], 2)
        regions = tile_regions(*size[:2])
        inner = regions != [0, 0, *size[:2]]
        return [
            _View(region, sides, self.detector.preprocess(image[y1:y2, x1:x2]))
            for region, sides in zip(regions, inner, strict=True)
            for x1, y1, x2, y2 in [region]
        ]

    def predict(self, inputs: list[list[_View]]) -> list[InstanceData]:
        """Detect people, sorted by decreasing score, see :meth:`Detector.predict`."""
        views = [view for image in inputs for view in image]
        found = iter(self.detector.predict([view.prepared for view in views]))
        return [
            _merge([_in_image(view, next(found)) for view in image]) for image in inputs
        ]


def tile_regions(width: int, height: int) -> np.ndarray:
    """The whole image and its four tiles.

    Args:
        width (int): Width of the image, pixels.
        height (int): Height of the image, pixels.

    Returns:
        np.ndarray: Regions (5, 4), xyxy, whole pixels of the image.
    """
    size = np.array([width, height])
    side = np.ceil(TILE * size).astype(int)
    starts = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * (size - side)
    return np.vstack(([[0, 0, *size]], np.hstack((starts, starts + side))))


def _in_image(view: _View, people: InstanceData) -> InstanceData:
    """Map boxes of a view to the image, without those that are cut off."""
    x1, y1, x2, y2 = view.region
    boxes = people.bboxes + [x1, y1, x1, y1]
    margin = MARGIN * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    cut = (view.inner & (np.abs(boxes - view.region) < margin)).any(axis=1)
    whole = people[~cut]
    whole.bboxes = boxes[~cut].astype(np.float32)
    return whole


def _merge(views: list[InstanceData]) -> InstanceData:
    """People of all views of an image without duplicates, best first."""
    people = InstanceData.cat(views)
    return people[suppress_boxes(people.bboxes, people.bbox_scores, IOU_THRESHOLD)]
