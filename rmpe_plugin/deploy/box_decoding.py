# SPDX-License-Identifier: Apache-2.0
"""Boxes of the outputs of detectors without anchors: NanoDet and YOLOX.

Both predict one box for each cell of three grids, whose cells are 8, 16 and 32 pixels
wide. The cells of a grid are in the order of its rows, the finest grid comes first.
"""

from collections.abc import Sequence

import numpy as np

STRIDES = (8, 16, 32)
PERSON = 0  # index in COCO's 80 classes


def count_cells(size: tuple[int, int]) -> tuple[int, ...]:
    """Count the cells of each grid.

    Args:
        size (tuple[int, int]): Size of the input [w, h], pixels.

    Returns:
        tuple[int, ...]: Number of cells for each of :data:`STRIDES`.
    """
    width, height = size
    return tuple((width // stride) * (height // stride) for stride in STRIDES)


def grid_cells(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """List the cells of all grids.

    Args:
        size (tuple[int, int]): Size of the input [w, h], pixels.

    Returns:
        tuple[np.ndarray, np.ndarray]: Column and row (N, 2) of each cell in its grid,
        and its width (N, 1) in pixels.
    """
    width, height = size
    # indices has the row first
    cells = [
        np.indices((height // stride, width // stride))[::-1].reshape(2, -1)
        for stride in STRIDES
    ]
    strides = np.repeat(STRIDES, count_cells(size))
    return np.hstack(cells).T, strides[:, None]


def decode_nanodet(
    outputs: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Decode the outputs of NanoDet with generalised focal loss.

    The distances from the centre of a cell to the sides of its box, left, top, right
    and bottom, are distributions over 0, 1, 2, ... cells; their means are the distances
    (Li et al., "Generalized Focal Loss", NeurIPS 2020, equation 5).

    Args:
        outputs (Sequence[np.ndarray]): For each grid scores (B, cells, classes) in
            [0, 1], then for each grid the logits of the distributions (B, cells,
            4 * bins).
        size (tuple[int, int]): Size of the input [w, h], pixels.

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes (B, N, 4), xyxy, in pixels of the input,
        and scores (B, N) of the class person.
    """
    levels = len(STRIDES)
    scores = np.concatenate(outputs[:levels], axis=1)[..., PERSON]
    logits = np.concatenate(outputs[levels:], axis=1)
    logits = logits.reshape(*scores.shape, 4, -1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    means = weights @ np.arange(weights.shape[-1]) / weights.sum(axis=-1)
    cells, strides = grid_cells(size)
    corners = np.concatenate((-means[..., :2], means[..., 2:]), axis=-1)
    return (np.tile(cells + 0.5, 2) + corners) * strides, scores


def decode_yolox(
    outputs: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Decode the output of YOLOX that its exporter writes by default.

    Args:
        outputs (Sequence[np.ndarray]): One array (B, N, 5 + classes): centre relative
            to the corner of the cell in cells, logarithm of width and height in cells,
            objectness and the scores of the classes in [0, 1].
        size (tuple[int, int]): Size of the input [w, h], pixels.

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes (B, N, 4), xyxy, in pixels of the input,
        and scores (B, N) of the class person.
    """
    (output,) = outputs
    cells, strides = grid_cells(size)
    centres = (output[..., :2] + cells) * strides
    halves = np.exp(output[..., 2:4]) * strides / 2
    boxes = np.concatenate((centres - halves, centres + halves), axis=-1)
    return boxes, output[..., 4] * output[..., 5 + PERSON]


def take_boxes(
    outputs: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Take the boxes of a file that contains NMS.

    Args:
        outputs (Sequence[np.ndarray]): Boxes and scores (B, N, 5), xyxy, in pixels of
            the input, and, unless all are people, classes (B, N).
        size (tuple[int, int]): Not used.

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes (B, N, 4) and scores (B, N) of the class
        person, ``-inf`` for boxes of other classes.
    """
    dets, *labels = outputs
    scores = dets[..., 4]
    for classes in labels:
        scores = np.where(classes == PERSON, scores, -np.inf)
    return dets[..., :4], scores
