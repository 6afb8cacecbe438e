# SPDX-License-Identifier: Apache-2.0
"""Ground truth of the people on a finished canvas."""

import cv2
import numpy as np

from .body import (
    HEAD_RADIUS,
    KEYPOINTS,
    MIDDLE_JOINTS,
    MPII_KEYPOINTS,
    SHOULDER,
    Body,
)
from .canvas import Canvas
from .figure import Figure
from .parts import PART_INDEX, PARTS_OF_KEYPOINTS, decode_labels
from .person import Person

# A person with less than this is not annotated.
MIN_AREA = 60
MIN_VISIBLE = 0.1

_TRUNK = [5, 6, 11, 12]  # shoulders and hips


def person_mask(canvas: Canvas, person: int) -> np.ndarray:
    """Mask of the pixels that show a person.

    Args:
        canvas (Canvas): The canvas.
        person (int): Index of the person.

    Returns:
        np.ndarray: Boolean mask (height, width).
    """
    return decode_labels(canvas.labels)[0] == person


def annotate(
    canvas: Canvas, figure: Figure, person: int, unoccluded_area: int
) -> Person | None:
    """Annotate a person.

    Args:
        canvas (Canvas): The canvas with all people and objects.
        figure (Figure): The drawn person.
        person (int): Index of the person.
        unoccluded_area (int): Number of the person's pixels in front of which nothing
            was drawn yet.

    Returns:
        Person | None: The annotation, or ``None`` if less than :data:`MIN_AREA` pixels
        or less than :data:`MIN_VISIBLE` of the person is visible.
    """
    height, width = canvas.labels.shape
    mask = person_mask(canvas, person)
    area = int(mask.sum())
    visible = area / max(1, unoccluded_area)
    if area < MIN_AREA or visible < MIN_VISIBLE:
        return None
    pixels = figure.pixels
    visible_keypoints = _visible_keypoints(canvas, figure, person)
    keypoints = _coco_keypoints(pixels, visible_keypoints, (width, height))
    full_bbox = np.concatenate((pixels.min(axis=0), pixels.max(axis=0)))
    full_bbox += figure.scale * np.array([-0.04, -0.07, 0.04, 0.05])
    radius = 1.1 * HEAD_RADIUS * figure.scale
    return Person(
        keypoints,
        _mpii_keypoints(keypoints, figure, mask),
        np.concatenate((figure.head - radius, figure.head + radius)),
        _mask_box(mask),
        full_bbox,
        area,
        visible,
    )


def _coco_keypoints(
    pixels: np.ndarray, visible: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Keypoints (K, 3) with COCO's v; zeros outside the image."""
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
    v = np.where(visible, 2, 1) * inside
    return np.column_stack((np.where(inside[:, None], pixels, 0), v))


def _mpii_keypoints(
    coco_keypoints: np.ndarray, figure: Figure, mask: np.ndarray
) -> np.ndarray:
    """MPII's keypoints (16, 3) with COCO's v; others are visible within the mask."""
    height, width = mask.shape
    x, y = np.floor(figure.middle).astype(int).T
    visible = mask[y.clip(0, height - 1), x.clip(0, width - 1)]
    middle = _coco_keypoints(figure.middle, visible, (width, height))
    all_keypoints = dict(zip(KEYPOINTS, coco_keypoints, strict=True))
    all_keypoints |= zip(MIDDLE_JOINTS, middle, strict=True)
    return np.stack([all_keypoints[name] for name in MPII_KEYPOINTS])


def _visible_keypoints(canvas: Canvas, figure: Figure, person: int) -> np.ndarray:
    """Mask (17,) of the keypoints in the image that nothing occludes."""
    height, width = canvas.labels.shape
    x, y = np.floor(figure.pixels).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    labels = canvas.labels[y.clip(0, height - 1), x.clip(0, width - 1)]
    person_at, part_at = decode_labels(labels)
    in_own_part = PARTS_OF_KEYPOINTS[np.arange(len(KEYPOINTS)), part_at]
    on_torso = _near_trunk(figure.body) & (part_at == PART_INDEX['torso'])
    in_front = (person_at == person) & (in_own_part | on_torso)
    return inside & in_front & ~_behind_head(figure.body)


def _near_trunk(body: Body) -> np.ndarray:
    """Mask (17,) of shoulders and hips on the near side, visible on the torso."""
    depth = body.joints[:, 2]
    near = depth > depth[_TRUNK].mean() - 0.5 * SHOULDER
    return np.isin(np.arange(len(KEYPOINTS)), _TRUNK) & near


def _behind_head(body: Body) -> np.ndarray:
    """Mask (17,) of the facial keypoints on the far side of the head."""
    depth = body.joints[:, 2]
    behind = np.zeros(len(KEYPOINTS), dtype=bool)
    behind[:3] = depth[:3] <= body.head[2] + 0.2 * HEAD_RADIUS
    behind[3:5] = depth[3:5] <= body.head[2] - 0.45 * HEAD_RADIUS
    return behind


def _mask_box(mask: np.ndarray) -> np.ndarray:
    """Bounding box (4,) of a mask, xyxy."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + w, y + h], dtype=np.float64)
