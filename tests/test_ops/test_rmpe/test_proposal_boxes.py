# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rmpe_plugin.ops.rmpe.proposal_boxes import (
    box_offsets,
    boxes_from_offsets,
    crop_offsets,
)

BOX = np.array([10.0, 20.0, 50.0, 100.0])


def test_boxes_from_offsets_inverts_box_offsets():
    rng = np.random.default_rng(0)
    detections = BOX + rng.uniform(-10, 10, (3, 5, 4))
    offsets = box_offsets(BOX, detections)
    np.testing.assert_allclose(boxes_from_offsets(BOX, offsets), detections)


def test_short_sides_are_lengthened_around_their_centre():
    inverted = np.array([0.6, 0.0, -0.6, 0.0])
    actual = boxes_from_offsets(BOX, inverted)
    np.testing.assert_allclose(actual, [28, 20, 32, 100])


@pytest.mark.parametrize('size', [(200, 200), (52, 101)])
def test_no_side_is_shorter_than_a_tenth_of_the_ground_truth(size):
    """Nor at the border of the image, in any place and with any offsets."""
    offsets = np.random.default_rng(0).uniform(-3, 3, (2000, 4))
    boxes = boxes_from_offsets(BOX, offsets, size)
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides.min(axis=0), [4.0, 8.0])
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= size).all()


@pytest.mark.parametrize('function', [box_offsets, boxes_from_offsets])
def test_raises_on_empty_ground_truth_box(function):
    with pytest.raises(ValueError, match=r'x1 < x2 and y1 < y2, got \[\[5.0, 5.0'):
        function(np.array([[5.0, 5.0, 5.0, 9.0]]), np.zeros((1, 4)))


def test_crops_of_probability_one_are_inside_box():
    offsets, replace = crop_offsets((1000,), 1.0, np.random.default_rng(0))
    assert replace.all()
    assert (offsets[:, :2] >= 0).all()
    assert (offsets[:, 2:] <= 0).all()
