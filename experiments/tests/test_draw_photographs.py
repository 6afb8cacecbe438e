# SPDX-License-Identifier: Apache-2.0
"""Picture of README.md, joined from parts of photographs."""

import numpy as np
from PIL import Image

from experiments.draw_photographs import HEIGHT, PARTS, join
from tests.conftest import ROOT

PHOTOGRAPHS = ROOT / 'tests/data/coco_cc'


def test_parts_are_inside_of_the_photographs():
    for name, (left, top, right, bottom) in PARTS.items():
        width, height = Image.open(PHOTOGRAPHS / name).size
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_joins_the_parts_in_their_order(tmp_path):
    for index, name in enumerate(PARTS):
        size = Image.open(PHOTOGRAPHS / name).size
        Image.new('RGB', size, (50 * index, 0, 0)).save(tmp_path / name, quality=100)
    red = np.asarray(join(tmp_path))[..., 0]
    assert red.shape[0] == HEIGHT
    boxes = np.array(list(PARTS.values()))
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    widths = np.round(width * HEIGHT / height).astype(int)
    expected = np.repeat(50 * np.arange(len(PARTS)), widths)
    np.testing.assert_allclose(red, np.tile(expected, (HEIGHT, 1)), atol=3)
