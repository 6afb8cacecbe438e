# SPDX-License-Identifier: Apache-2.0
"""Decoding of detectors' outputs, against loops over cells."""

import math

import numpy as np
import pytest

from rmpe_plugin.deploy.box_decoding import (
    count_cells,
    decode_nanodet,
    decode_yolox,
    grid_cells,
    take_boxes,
)

SIZE = 96, 64  # [w, h]
STRIDES = 8, 16, 32


def cells():
    """Column, row and width of each cell, the finest grid first, row by row."""
    for stride in STRIDES:
        for row in range(SIZE[1] // stride):
            for column in range(SIZE[0] // stride):
                yield column, row, stride


@pytest.fixture(scope='module')
def rng():
    return np.random.default_rng(0)


def test_grid_cells():
    expected = [*cells()]
    found, strides = grid_cells(SIZE)
    np.testing.assert_array_equal(np.hstack((found, strides)), expected)
    assert count_cells(SIZE) == (96, 24, 6)


def slow_nanodet(scores, logits):
    """NanoDet's boxes, one cell and side after another."""
    boxes = []
    for (column, row, stride), cell in zip(cells(), logits, strict=True):
        distances = []
        for side in range(4):
            bins = [math.exp(x) for x in cell[11 * side : 11 * side + 11]]
            mean = sum(i * x for i, x in enumerate(bins)) / sum(bins)
            distances.append(mean * stride)
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        left, top, right, bottom = distances
        boxes.append([x - left, y - top, x + right, y + bottom])
    return boxes, [cell[0] for cell in scores]


def test_nanodet_equals_a_loop(rng):
    counts = count_cells(SIZE)
    scores = [rng.uniform(size=(2, n, 80)) for n in counts]
    logits = [rng.normal(0, 3, (2, n, 44)) for n in counts]
    boxes, people = decode_nanodet([*scores, *logits], SIZE)
    for i in range(2):
        expected, expected_scores = slow_nanodet(
            np.concatenate([x[i] for x in scores]),
            np.concatenate([x[i] for x in logits]),
        )
        np.testing.assert_allclose(boxes[i], expected)
        np.testing.assert_array_equal(people[i], expected_scores)


def test_nanodet_with_large_logits(rng):
    outputs = [np.zeros((1, n, k)) for k in (80, 44) for n in count_cells(SIZE)]
    outputs[3][..., [3, 14, 25, 36]] = 1000.0  # three cells to all sides
    boxes, _ = decode_nanodet(outputs, SIZE)
    np.testing.assert_allclose(boxes[0, 0], [4 - 24, 4 - 24, 4 + 24, 4 + 24])


def test_yolox_equals_a_loop(rng):
    output = rng.uniform(-1, 1, (2, sum(count_cells(SIZE)), 85))
    boxes, scores = decode_yolox([output.copy()], SIZE)
    for i, image in enumerate(output):
        for j, ((column, row, stride), x) in enumerate(
            zip(cells(), image, strict=True)
        ):
            centre = (x[0] + column) * stride, (x[1] + row) * stride
            width, height = math.exp(x[2]) * stride, math.exp(x[3]) * stride
            expected = [
                centre[0] - width / 2,
                centre[1] - height / 2,
                centre[0] + width / 2,
                centre[1] + height / 2,
            ]
            np.testing.assert_allclose(boxes[i, j], expected)
            assert scores[i, j] == x[4] * x[5]


def test_boxes_of_other_classes_have_no_score(rng):
    dets = rng.uniform(size=(2, 3, 5))
    labels = np.array([[0, 1, 0], [2, 0, -1]])
    boxes, scores = take_boxes([dets, labels], SIZE)
    np.testing.assert_array_equal(boxes, dets[..., :4])
    np.testing.assert_array_equal(np.isfinite(scores), labels == 0)
    np.testing.assert_array_equal(scores[labels == 0], dets[labels == 0, 4])
    _, scores = take_boxes([dets], SIZE)
    np.testing.assert_array_equal(scores, dets[..., 4])
