# SPDX-License-Identifier: Apache-2.0
"""Draw filled convex shapes on an image and on its label map."""

from collections.abc import Sequence

import cv2
import numpy as np

_CIRCLE = np.stack(
    [f(np.linspace(0, 2 * np.pi, 16, endpoint=False)) for f in (np.cos, np.sin)], axis=1
)
_SUBPIXEL_BITS = 4


class Canvas:
    """An image with a label for each of its pixels.

    Args:
        image (np.ndarray): The image (height, width, 3), BGR uint8. Modified in place.

    Attributes:
        image (np.ndarray): The image.
        labels (np.ndarray): Labels (height, width), int32; 0 for the background. See
            :mod:`.parts`.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.labels = np.zeros(image.shape[:2], dtype=np.int32)

    def fill(self, polygon: np.ndarray, colour: np.ndarray, label: int | None) -> None:
        """Fill a convex polygon.

        Args:
            polygon (np.ndarray): Corners (N, 2), pixels.
            colour (np.ndarray): BGR (3,).
            label (int | None): Label of the polygon's pixels; ``None`` keeps the
                labels.
        """
        points = np.round(polygon * 2**_SUBPIXEL_BITS).astype(np.int32)
        bgr = tuple(float(c) for c in colour)
        cv2.fillConvexPoly(self.image, points, bgr, cv2.LINE_AA, _SUBPIXEL_BITS)
        if label is not None:
            cv2.fillConvexPoly(self.labels, points, label, cv2.LINE_8, _SUBPIXEL_BITS)


def circle_hull(centres: np.ndarray, radii: Sequence[float]) -> np.ndarray:
    """Convex hull of circles.

    Args:
        centres (np.ndarray): Centres (N, 2), pixels.
        radii (Sequence[float]): Radii (N,), pixels.

    Returns:
        np.ndarray: Corners of the hull (M, 2).
    """
    points = centres[:, None] + np.asarray(radii)[:, None, None] * _CIRCLE
    return cv2.convexHull(points.reshape(-1, 2).astype(np.float32))[:, 0]


def shrink(polygon: np.ndarray, margin: float) -> np.ndarray:
    """Move the corners of a polygon towards its centre.

    Args:
        polygon (np.ndarray): Corners (N, 2), pixels.
        margin (float): Distance in pixels, at most 40 % of the distance to the centre.

    Returns:
        np.ndarray: The moved corners (N, 2).
    """
    centre = polygon.mean(axis=0)
    direction = polygon - centre
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    scale = 1 - np.minimum(margin, 0.4 * length) / length.clip(1e-3)
    return centre + direction * scale
