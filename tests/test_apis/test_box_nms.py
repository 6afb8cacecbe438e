# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from torchvision.ops import nms

from rmpe_plugin.apis.box_nms import suppress_boxes


@pytest.mark.parametrize('number', [0, 1, 100])
@pytest.mark.parametrize('threshold', [0.3, 0.6, 1.0])
@pytest.mark.parametrize('decimals', [1, 7])
def test_keeps_the_boxes_of_torchvision(number, threshold, decimals):
    rng = np.random.default_rng(number)
    corner = rng.uniform(0, 100, (number, 2))
    boxes = np.hstack((corner, corner + rng.uniform(1, 60, (number, 2))))
    boxes = boxes.astype(np.float32)
    # also equal scores
    scores = rng.uniform(0.1, 1, number).round(decimals).astype(np.float32)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    kept = suppress_boxes(boxes, scores, threshold)
    np.testing.assert_array_equal(kept, expected.numpy())
    assert number < 2 or threshold == 1 or len(kept) < number
