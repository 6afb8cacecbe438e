# SPDX-License-Identifier: Apache-2.0
"""Conversion between boxes and offsets from ground-truth boxes (RMPE, section 3.3).

Convention:
    An offset is (x1, y1, x2, y2) of a box minus that of the ground-truth box, divided
    by the ground-truth box's (width, height, width, height).
"""

from collections.abc import Sequence

import numpy as np

from ..boxes import valid_boxes

# Smallest ratio of a proposal's side to that of the ground-truth box.
_MIN_SIDE = 0.1


def _sides(bboxes: np.ndarray) -> np.ndarray:
    """Width, height, width, height of boxes (..., 4)."""
    valid = valid_boxes(bboxes)
    if not valid.all():
        raise ValueError(
            'boxes must be finite and have x1 < x2 and y1 < y2, got '
            f'{bboxes[~valid].tolist()}'
        )
    size = bboxes[..., 2:] - bboxes[..., :2]
    return np.concatenate((size, size), axis=-1)


def box_offsets(bboxes: np.ndarray, detections: np.ndarray) -> np.ndarray:
    """Compute the offsets of detections from ground-truth boxes.

    Args:
        bboxes (np.ndarray): Ground-truth boxes (..., 4), xyxy, pixels.
        detections (np.ndarray): Detections (..., 4), xyxy, pixels.

    Returns:
        np.ndarray: Offsets (..., 4), relative to the ground-truth box's width and
        height.

    Raises:
        ValueError: If a ground-truth box is empty, inverted or not finite.

    Example:
        >>> box = np.array([10.0, 10.0, 50.0, 90.0])
        >>> box_offsets(box, np.array([6.0, 10.0, 50.0, 98.0]))
        array([-0.1,  0. ,  0. ,  0.1])
    """
    return (detections - bboxes) / _sides(bboxes)


def boxes_from_offsets(
    bboxes: np.ndarray,
    offsets: np.ndarray,
    image_size: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Convert offsets to boxes that are neither empty nor inverted.

    Sides shorter than a tenth of the ground-truth box's are lengthened around their
    centre. Then the boxes are clipped to the image.

    Args:
        bboxes (np.ndarray): Ground-truth boxes (..., 4), xyxy, pixels.
        offsets (np.ndarray): Offsets (..., 4), in sides of the ground-truth box.
        image_size (Sequence[int] | np.ndarray, optional): Width and height of the image
            (2,) or of each box's image (..., 2), pixels. Defaults to ``None``: the
            boxes may extend beyond the image.

    Returns:
        np.ndarray: Boxes (..., 4), xyxy, pixels.

    Raises:
        ValueError: If a ground-truth box is empty, inverted or not finite.

    Example:
        >>> box = np.array([10.0, 10.0, 50.0, 90.0])
        >>> offsets = np.array([[-0.5, 0.0, 0.0, 0.25], [0.6, 0.0, -0.6, 0.0]])
        >>> boxes_from_offsets(box, offsets, image_size=(100, 100)).round(6)
        array([[  0.,  10.,  50., 100.],
               [ 28.,  10.,  32.,  90.]])
    """
    sides = _sides(bboxes)
    boxes = bboxes + offsets * sides
    low, high = boxes[..., :2], boxes[..., 2:]
    min_size = _MIN_SIDE * sides[..., :2]
    centre = 0.5 * (low + high)
    half = 0.5 * np.maximum(high - low, min_size)
    low, high = centre - half, centre + half
    if image_size is not None:
        min_size = np.minimum(min_size, image_size)
        high = np.clip(high, min_size, image_size)
        low = np.clip(low, 0, high - min_size)
    return np.concatenate((low, high), axis=-1)


def crop_offsets(
    shape: tuple[int, ...], crop_prob: float, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Sample offsets of crops inside the ground-truth box.

    A crop has the aspect ratio of the ground-truth box, ``1 - crop_prob`` to 1 of its
    size, and a uniform position in it.

    Args:
        shape (tuple[int, ...]): Shape of the samples.
        crop_prob (float): Probability that a sample is replaced by a crop.
        rng: A numpy ``Generator`` or ``RandomState``, or the module ``np.random``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Offsets (*shape, 4), and a mask (*shape) of the
        samples to replace by them.

    Example:
        >>> offsets, replace = crop_offsets((10000,), 0.15, np.random.default_rng(0))
        >>> float(replace.mean().round(2))
        0.15
        >>> float((offsets[replace, 2] - offsets[replace, 0]).min().round(2))
        -0.15
    """
    scale = rng.uniform(size=shape)
    start = rng.uniform(size=(*shape, 2)) * (1 - scale)[..., None]
    offsets = np.concatenate((start, start + scale[..., None] - 1), axis=-1)
    return offsets, scale > 1 - crop_prob
