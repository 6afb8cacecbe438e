# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rmpe_plugin.ops import valid_boxes

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize('as_array', [np.array, torch.tensor])
@pytest.mark.parametrize(
    ('box', 'valid', 'valid_if_empty'),
    [
        ([0.0, 0.0, 4.0, 2.0], True, True),
        ([3.0, 0.0, 3.0, 2.0], False, True),
        ([3.0, 1.0, 4.0, 1.0], False, True),
        ([5.0, 0.0, 4.0, 2.0], False, False),
        ([0.0, 2.0, 4.0, 1.0], False, False),
        ([NAN, 0.0, 4.0, 2.0], False, False),
        ([0.0, 0.0, 4.0, INF], False, False),
        ([-INF, 0.0, 4.0, 2.0], False, False),
        ([INF, 0.0, INF, 2.0], False, False),
    ],
)
def test_valid_boxes(as_array, box, valid, valid_if_empty):
    boxes = as_array([[box, [0.0, 0.0, 1.0, 1.0]]])
    assert valid_boxes(boxes).tolist() == [[valid, True]]
    assert valid_boxes(boxes, allow_empty=True).tolist() == [[valid_if_empty, True]]


def test_empty_input():
    assert valid_boxes(np.zeros((0, 4))).shape == (0,)
