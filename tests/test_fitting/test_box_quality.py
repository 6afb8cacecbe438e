# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from rmpe_plugin.fitting.box_quality import BoxQuality, sstn_gain
from rmpe_plugin.fitting.matching import MatchedPeople
from rmpe_plugin.inference import CropGeometry
from tests.conftest import ROOT

# A crop has the size of its box, padded by nothing.
GEOMETRY = CropGeometry((40, 60), 1.0)
GT = [10.0, 10, 50, 70]


def people(detections, keypoints, visible):
    """People with the ground-truth box :data:`GT` in an image of 200x200 pixels."""
    number = len(detections)
    return MatchedPeople(
        image_ids=np.arange(number),
        image_sizes=np.full((number, 2), 200),
        keypoints=np.array(keypoints, float),
        keypoints_visible=np.array(visible),
        gt_bboxes=np.array([GT] * number),
        detections=np.array(detections, float),
    )


def box_iou(a, b):
    """IoU of two boxes, xyxy."""
    x1, y1 = max(a[0], b[0]), max(a[1], b[1])
    x2, y2 = min(a[2], b[2]), min(a[3], b[3])
    overlap = max(0, x2 - x1) * max(0, y2 - y1)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return overlap / (sum(areas) - overlap)


@pytest.mark.parametrize('udp', [False, True])
def test_iou_is_that_of_the_padded_boxes(udp):
    # The aspect ratio of all boxes is that of the crop.
    detections = [GT, [14, 16, 54, 76], [10, 10, 30, 40], [0, -5, 60, 85]]
    padded = [
        np.array(box) + np.array([-1, -1, 1, 1]) * 0.1 * np.tile(size, 2)
        for box in map(np.array, [*detections, GT])
        for size in [box[2:] - box[:2]]
    ]
    geometry = CropGeometry((400, 600), 1.2, udp)
    data = people(detections, np.zeros((4, 1, 2)), np.ones((4, 1)))
    iou = BoxQuality.of(data, geometry).crop_iou
    expected = [box_iou(box, padded[-1]) for box in padded[:-1]]
    # A window ends at the centres of the last pixels.
    np.testing.assert_allclose(iou, expected, atol=0.003)


def test_wide_boxes_are_extended_to_the_aspect_ratio():
    data = people([[10, 30, 50, 50]], np.zeros((1, 1, 2)), np.ones((1, 1)))
    quality = BoxQuality.of(data, GEOMETRY)
    np.testing.assert_allclose(quality.crop_iou, 1, atol=1e-6)


def test_counts_labelled_keypoints_outside_of_box_and_crop():
    # The box ends at x = 50 and y = 60, and the crop, 1.2 times as large, at 54 and 66.
    keypoints = [[30, 40], [52, 40], [60, 40], [30, 65], [30, 80], [90, 90]]
    visible = [2, 2, 1, 2, 2, 0]
    data = people([[10, 0, 50, 60]], [keypoints], [visible])
    quality = BoxQuality.of(data, CropGeometry((40, 60), 1.2))
    assert quality.outside_box.tolist() == [[False, True, True, True, True, False]]
    assert quality.outside_crop.tolist() == [[False, False, True, False, True, False]]
    rows = dict(quality.table().rows)
    assert rows['labelled keypoints outside of the box'] == '80.0%'
    assert rows['labelled keypoints outside of the crop'] == '40.0%'


@pytest.mark.parametrize(('x', 'outside'), [(9.6, False), (9.4, True)])
def test_a_crop_ends_at_the_border_of_its_first_pixel(x, outside):
    # one pixel of the crop is a pixel of the image
    data = people([GT], [[[x, 40]]], [[2]])
    assert BoxQuality.of(data, GEOMETRY).outside_crop.item() == outside


def test_table_of_the_iou():
    detections = [GT] * 9 + [[200.0, 200, 240, 260]]
    data = people(detections, np.zeros((10, 1, 2)) + 30, np.ones((10, 1)))
    table = BoxQuality.of(data, GEOMETRY).table()
    assert table.header == ('boxes of 10 matched people', 'value')
    values = [value for name, value in table.rows if name.startswith('IoU')]
    assert values == ['0.900', '1.000', '0.900']


def test_gain_of_an_sstn_is_that_of_the_documentation():
    """Ground truth and PGPG's boxes: IoU, and change of AP with mapped keypoints."""
    page = (ROOT / 'docs' / 'sstn.md').read_text()
    row = r"^\| (?:ground truth|PGPG's offsets[^|]*) \| ([\d.]+) "
    measured = re.findall(row + r'\|.*?\|.*?\| ([-+][\d.]+) ', page, re.M)
    assert len(measured) == 7
    for iou, change in measured:
        assert sstn_gain(float(iou)) == pytest.approx(float(change))


def test_gain_of_an_sstn_is_interpolated():
    assert sstn_gain(0.648) == pytest.approx((1.3 + 1.1) / 2)
    assert np.isnan(sstn_gain(0.62))
    assert np.isnan(sstn_gain(np.nan))


@pytest.mark.parametrize(
    ('shift', 'expected'),
    [
        (0, '-4.1 on synthetic people'),
        (8, '+1.1 on synthetic people'),
        (40, 'not measured below 0.626'),
    ],
)
def test_table_says_what_an_sstn_gained(shift, expected):
    box = [GT[0] + shift, GT[1], GT[2] + shift, GT[3]]
    data = people([box], np.zeros((1, 1, 2)) + 30, np.ones((1, 1)))
    rows = dict(BoxQuality.of(data, GEOMETRY).table().rows)
    assert rows['change of AP with an SSTN at this mean IoU'] == expected
