# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rmpe_plugin.ops import decode_heatmaps, unit_scores


def test_range_of_cpn():
    heatmaps = torch.zeros(1, 3, 16, 12)
    heatmaps[0, 0, 5, 5] = 255
    heatmaps[0, 1, 5, 5] = 51
    _, scores = decode_heatmaps(heatmaps, blur_kernel_size=1)
    expected = torch.tensor([[1.5, 0.7, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(scores, expected)
    expected = torch.tensor([[1.0, 0.2, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(unit_scores(scores, (0.5, 1.5)), expected)


def test_keeps_the_order_and_nan():
    scores = np.array([np.nan, -1.0, 0.3, 0.4, 2.0])
    np.testing.assert_array_equal(unit_scores(scores, (0, 1)), [np.nan, 0, 0.3, 0.4, 1])
    assert unit_scores(np.zeros((0, 17)), (0.5, 1.5)).shape == (0, 17)


@pytest.mark.parametrize('score_range', [(1.0, 1.0), (1.5, 0.5), (np.nan, 1.0)])
def test_raises_on_an_empty_range(score_range):
    with pytest.raises(ValueError, match='score_range must be two increasing numbers'):
        unit_scores(np.zeros(2), score_range)
