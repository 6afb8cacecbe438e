# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from rmpe_plugin.ops import grid_average_pool


@pytest.mark.parametrize('size', [(1, 1), (4, 3), (8, 6), (5, 7), (2, 9)])
@pytest.mark.parametrize('cells', [1, 3, 4])
def test_equals_adaptive_average_pooling_of_torch(size, cells):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    expected = F.adaptive_avg_pool2d(x, cells)
    actual = grid_average_pool(x, cells)
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(actual)
    (gradient,) = torch.autograd.grad((actual * weights).sum(), x)
    (other,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(gradient, other)


def test_gradient():
    x = torch.randn(1, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: grid_average_pool(x, 2), x)


def test_empty_batch_and_half_precision():
    assert grid_average_pool(torch.zeros(0, 2, 4, 4), 2).shape == (0, 2, 2, 2)
    x = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)
    assert (grid_average_pool(x, 2) == 1).all()
