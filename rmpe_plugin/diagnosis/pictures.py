# SPDX-License-Identifier: Apache-2.0
"""Pictures of examples: ground truth and prediction on the crop of a person."""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from rmpe_plugin.utils.images import load_image

from .diagnosis import Diagnosis
from .examples import Example

GT_COLOR = (80, 200, 0)  # BGR
PREDICTION_COLOR = (0, 90, 255)
ERROR_COLOR = (255, 0, 200)
GREY = 128
SIZE = 220  # longer side, pixels
MARGIN = 0.15  # of the person, on each side
JPEG_QUALITY = 75


def data_url(kind: str, data: bytes) -> str:
    """Encode an image as a data URL.

    Args:
        kind (str): ``'jpeg'`` or ``'png'``.
        data (bytes): Content of the file.

    Returns:
        str: The URL.
    """
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


class PictureMaker:
    """Draws examples as JPEG data URLs.

    The ground truth is green, the prediction orange; wrong keypoints have a purple
    ring.

    Args:
        folder (Path): Folder of the images.

    Attributes:
        missing (set[str]): File names of images that cannot be read; examples of these
            are drawn on grey.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: set[str] = set()
        # Several examples are of one image.
        self._read = lru_cache(maxsize=8)(self._read_image)

    def draw(self, diagnosis: Diagnosis, example: Example) -> str:
        """Draw an example.

        Args:
            diagnosis (Diagnosis): The diagnosis that the example is from.
            example (Example): The example.

        Returns:
            str: Data URL of a JPEG.
        """
        image = diagnosis.images[example.image]
        links = diagnosis.poses.meta['skeleton_links']
        poses = []
        if example.person >= 0:
            poses.append((image.gt[example.person], GT_COLOR))
        if example.prediction >= 0:
            poses.append((image.keypoints[example.prediction], PREDICTION_COLOR))
        points = np.concatenate([pose for pose, _ in poses])
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        if example.person >= 0:
            x, y, width, height = image.people[example.person]['bbox']
            low, high = np.fmin(low, (x, y)), np.fmax(high, (x + width, y + height))
        canvas, to_canvas = self._crop(image.image, low, high)
        for pose, color in poses:
            _draw_pose(canvas, to_canvas(pose), links, color)
        if example.prediction >= 0:
            wrong = image.keypoints[example.prediction, list(example.joints)]
            for center in to_canvas(wrong).round().astype(int).tolist():
                cv2.circle(canvas, center, 6, ERROR_COLOR, 2, cv2.LINE_AA)
        _, data = cv2.imencode('.jpg', canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return data_url('jpeg', data.tobytes())

    def _crop(self, record: dict, low: np.ndarray, high: np.ndarray):
        """Crop the region (low, high) with a margin, and map points to the crop."""
        size = (high - low).clip(min=1)
        low, size = low - MARGIN * size, size * (1 + 2 * MARGIN)
        scale = SIZE / size.max()
        width, height = np.maximum(1, (size * scale).round()).astype(int)
        matrix = np.hstack((np.eye(2) * scale, -(low * scale)[:, None]))
        image = self._read(record.get('file_name', ''))
        canvas = np.full((height, width, 3), GREY, np.uint8)
        if image is not None:
            canvas = cv2.warpAffine(
                image, matrix, (int(width), int(height)), flags=cv2.INTER_AREA,
                borderValue=(GREY,) * 3,
            )  # fmt: skip
        return canvas, lambda points: (points - low) * scale

    def _read_image(self, name: str) -> np.ndarray | None:
        """Read an image; ``None`` if it cannot be read."""
        try:
            return load_image(self.folder / name)
        except OSError:
            self.missing.add(name)
            return None


def _draw_pose(canvas: np.ndarray, pose: np.ndarray, links, color) -> None:
    """Draw the skeleton and the keypoints (K, 2) that are not NaN, in place."""
    known = np.isfinite(pose).all(axis=-1)
    pixels = np.nan_to_num(pose).clip(-10_000, 10_000).round().astype(int).tolist()
    for a, b in links:
        if known[a] and known[b]:
            cv2.line(canvas, pixels[a], pixels[b], color, 2, cv2.LINE_AA)
    for k in np.flatnonzero(known):
        cv2.circle(canvas, pixels[k], 2, color, -1, cv2.LINE_AA)
