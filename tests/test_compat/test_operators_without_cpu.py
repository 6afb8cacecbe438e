# SPDX-License-Identifier: Apache-2.0
"""Operators that compiled mmcv has on CUDA only, against loops in float64."""

import mmcv.ops
import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch.autograd import gradcheck

from tests.test_compat import slow_operators
from tests.test_compat.conftest import needs_compiled, use_operators
from tests.test_compat.differentiable_operators import OPERATORS
from tests.test_compat.operator_cases import REGIONS, random

pytestmark = pytest.mark.usefixtures('ours')


def assert_equal_gradients(actual, expected, *tensors):
    """Compare two outputs and their gradients by the same tensors."""
    torch.testing.assert_close(actual, expected)
    weights = random(9, *actual.shape, low=-1).to(actual)
    for a, b in zip(
        torch.autograd.grad((actual * weights).sum(), tensors),
        torch.autograd.grad((expected * weights).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


# --- RoIPool --------------------------------------------------------------------------


@pytest.mark.parametrize('scale', [1.0, 0.25, 0.3])
@pytest.mark.parametrize('size', [(3, 2), (7, 7), (1, 1)])
def test_roi_pool(size, scale):
    # Less than the 0 of an empty bin, too.
    x = random(0, 2, 3, 8, 10, low=-1, dtype=torch.float64).requires_grad_()
    # Whole pixels, exactly on the borders of bins.
    whole = torch.tensor([[0, 2, 1, 7, 6], [1, 0, 0, 9, 7], [1, 3, 3, 3, 3]])
    regions = torch.cat((REGIONS, whole)).double()
    actual = mmcv.ops.roi_pool(x, regions, size, scale)
    expected = slow_operators.roi_pool(x, regions, size, scale)
    assert_equal_gradients(actual, expected, x)


def test_roi_pool_outside_and_inverted_boxes_are_0():
    x = random(0, 1, 2, 8, 10, low=-2, high=-1).requires_grad_()
    inverted = [[0, 6, 2, 3, 5], [0, 6.5, 2, 5.2, 5], [0, 2, 6.5, 5, 5.2]]
    regions = torch.tensor([[0.0, 50, 50, 60, 60], *inverted])
    output = mmcv.ops.roi_pool(x, regions, 3, 1.0)
    assert (output == 0).all()
    output.sum().backward()
    assert (x.grad == 0).all()


def test_roi_pool_gradient_and_no_boxes():
    # All different by more than the step of gradcheck.
    x = torch.randperm(2 * 6 * 5).double().reshape(1, 2, 6, 5).requires_grad_()
    regions = torch.tensor([[0, 0.5, 1.2, 3.4, 4.9], [0, 1, 1, 3, 3]]).double()
    assert gradcheck(lambda x: mmcv.ops.roi_pool(x, regions, (2, 3), 0.9), x)
    assert mmcv.ops.roi_pool(x, regions[:0], 2, 1.0).shape == (0, 2, 2, 2)


# --- focal loss -----------------------------------------------------------------------


@pytest.mark.parametrize('gamma', [2.0, 1.5, 0.0])
@pytest.mark.parametrize('weighted', [False, True])
def test_focal_loss(gamma, weighted):
    logits = random(1, 6, 4, low=-6, high=6, dtype=torch.float64).requires_grad_()
    weight = random(2, 4, dtype=torch.float64) if weighted else None
    # 4 is the background, for which there is no weight.
    target = torch.tensor([0, 1, 2, 3, 3, 0 if weighted else 4])
    expected = slow_operators.focal_loss(logits, target, gamma, 0.25, weight)
    for reduction, reduced in (
        ('none', expected),
        ('sum', expected.sum()),
        ('mean', expected.sum() / 6),
    ):
        actual = mmcv.ops.sigmoid_focal_loss(
            logits, target, gamma, 0.25, weight, reduction
        )
        # mmcv multiplies by the gradient of the output.
        weights = 1.7 if reduction != 'none' else random(3, 6, 4, low=-1).double()
        torch.testing.assert_close(actual, reduced)
        (gradient,) = torch.autograd.grad((actual * weights).sum(), logits)
        (other,) = torch.autograd.grad(
            (reduced * weights).sum(), logits, retain_graph=True
        )
        torch.testing.assert_close(gradient, other)


def test_focal_loss_gradient():
    logits = random(1, 5, 3, low=-4, high=4, dtype=torch.float64).requires_grad_()
    target = torch.tensor([0, 1, 2, 3, 3])
    assert gradcheck(
        lambda x: mmcv.ops.sigmoid_focal_loss(x, target, 2.0, 0.25, None, 'sum'), logits
    )


def test_focal_loss_of_extreme_logits_is_finite():
    logits = torch.tensor([[-200.0, 200.0]] * 3, requires_grad=True)
    loss = mmcv.ops.sigmoid_focal_loss(
        logits, torch.tensor([0, 1, 2]), 2.0, 0.25, None, 'none'
    )
    loss.sum().backward()
    # log(FLT_MIN) is -87.34.
    expected = [[0.25 * 87.34, 0.75 * 87.34], [0, 0], [0, 0.75 * 87.34]]
    torch.testing.assert_close(loss, torch.tensor(expected), rtol=1e-4, atol=1e-4)
    assert logits.grad.isfinite().all()


def test_focal_loss_of_the_background_has_no_class_weight():
    with pytest.raises(IndexError):
        mmcv.ops.sigmoid_focal_loss(
            torch.zeros(1, 2), torch.tensor([2]), 2.0, 0.25, torch.ones(2)
        )


# --- multi-scale deformable attention -------------------------------------------------

SHAPES = torch.tensor([[4, 5], [2, 3], [1, 1]])
START = torch.tensor([0, 20, 26])


def attention_inputs(low=0.1, high=0.9):
    locations = random(6, 2, 3, 2, 3, 4, 2, low=low, high=high, dtype=torch.float64)
    weights = random(7, 2, 3, 2, 3, 4, dtype=torch.float64)
    value = random(5, 2, 27, 2, 3, low=-1, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (value, locations, weights)]


def attend(value, locations, weights):
    return MultiScaleDeformableAttnFunction.apply(
        value, SHAPES, START, locations, weights, 64
    )


def pixel_centres(value, locations, weights):
    """Locations exactly on pixel centres, inside and up to two pixels outside."""
    column = torch.arange(locations[..., 0].numel()).reshape(locations.shape[:-1])
    pixel = torch.stack((column % 9 - 2, column % 7 - 2), -1)
    # The sizes are powers of two, for which the centres are exact.
    return value, ((pixel + 0.5) / 4).double().requires_grad_(), weights


@pytest.mark.parametrize('borders', [(0.1, 0.9), (-0.6, 1.6), (-5, 5)])
def test_attention(borders):
    value, locations, weights = tensors = attention_inputs(*borders)
    expected = slow_operators.attention(value, SHAPES, START, locations, weights)
    assert_equal_gradients(attend(*tensors), expected, *tensors)
    other = multi_scale_deformable_attn_pytorch(value, SHAPES, locations, weights)
    assert_equal_gradients(attend(*tensors), other, *tensors)


def test_attention_on_pixel_centres():
    shapes, start = torch.tensor([[4, 4]] * 3), torch.tensor([0, 16, 32])
    value = random(5, 2, 48, 2, 3, low=-1, dtype=torch.float64).requires_grad_()
    value, locations, weights = tensors = pixel_centres(value, *attention_inputs()[1:])
    actual = MultiScaleDeformableAttnFunction.apply(
        value, shapes, start, locations, weights, 64
    )
    expected = slow_operators.attention(value, shapes, start, locations, weights)
    assert_equal_gradients(actual, expected, *tensors)


def test_attention_gradient():
    value, locations, weights = attention_inputs(-0.2, 1.2)
    tensors = (value, locations[:, :1], weights[:, :1])
    assert gradcheck(attend, tensors)


def test_levels_need_not_follow_each_other():
    """The start of a level is read, as by the CUDA kernel."""
    value, locations, weights = attention_inputs()
    start = torch.tensor([7, 0, 6])
    actual = MultiScaleDeformableAttnFunction.apply(
        value, SHAPES, start, locations, weights, 64
    )
    expected = slow_operators.attention(value, SHAPES, start, locations, weights)
    torch.testing.assert_close(actual, expected)


# --- compiled mmcv --------------------------------------------------------------------


@needs_compiled
@pytest.mark.parametrize('name', ['roi_pool', 'focal_loss', 'attention'])
def test_compiled_mmcv_has_no_cpu_implementation(name, monkeypatch):
    use_operators(monkeypatch, mmcv._ext)
    function, inputs, constants = OPERATORS[name]
    with pytest.raises(RuntimeError, match='implementation for device cpu not found'):
        function(**inputs, **constants)
