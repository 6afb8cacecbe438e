# SPDX-License-Identifier: Apache-2.0
"""Half precision is computed in float32 and rounded once, also under autocast."""

import mmcv.ops
import pytest
import torch

from tests.test_compat.differentiable_operators import FEATURES, OPERATORS, run
from tests.test_compat.operator_cases import BOXES, REGIONS, random

pytestmark = pytest.mark.usefixtures('ours')

HALF = pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)


@HALF
@pytest.mark.parametrize('name', OPERATORS)
def test_equals_rounded_float32(name, dtype):
    def round_to(x):
        return x.to(dtype) if x.is_floating_point() else x

    def as_float32(x):
        return round_to(x).float() if x.is_floating_point() else x

    actual = run(OPERATORS[name], round_to)
    expected = run(OPERATORS[name], as_float32)
    for a, b in zip(actual, expected, strict=True):
        assert b.dtype == torch.float32
        assert a.dtype == dtype
        assert a.equal(b.to(dtype))


@HALF
@pytest.mark.parametrize('name', ['nms', 'soft_nms'])
def test_boxes(name, dtype):
    boxes, scores = (x.to(dtype) for x in BOXES['random'])
    function = getattr(mmcv.ops, name)
    dets, keep = function(boxes, scores, iou_threshold=0.4)
    expected, expected_keep = function(boxes.float(), scores.float(), iou_threshold=0.4)
    assert keep.equal(expected_keep)
    assert dets.dtype == dtype
    assert dets.equal(expected.to(dtype))


@HALF
def test_nms_match(dtype):
    boxes, scores = BOXES['random']
    dets = torch.cat((boxes, scores[:, None]), 1).to(dtype)
    actual = mmcv.ops.nms_match(dets, 0.4)
    expected = mmcv.ops.nms_match(dets.float(), 0.4)
    assert [x.tolist() for x in actual] == [x.tolist() for x in expected]


@pytest.mark.parametrize('name', ['roi_align', 'roi_pool'])
def test_regions_under_autocast(name):
    """Features are from convolutions and in bfloat16, boxes are in float32."""
    function = OPERATORS[name].function
    weight = random(3, 2, 2, 1, 1).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        features = torch.nn.functional.conv2d(FEATURES, weight)
        features.retain_grad()
        output = function(features, REGIONS)
    assert features.dtype == output.dtype == torch.bfloat16
    expected = function(features.float(), REGIONS)
    assert output.equal(expected.bfloat16())
    output.sum().backward()
    assert features.grad.dtype == torch.bfloat16
    assert weight.grad.dtype == torch.float32
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'layer', [mmcv.ops.DeformConv2dPack, mmcv.ops.ModulatedDeformConv2dPack]
)
def test_layers_under_autocast(layer):
    """The convolution that predicts the offsets decides on the type."""
    torch.manual_seed(0)
    layer = layer(4, 4, 3, padding=1, bias=False)
    torch.nn.init.normal_(layer.conv_offset.weight, std=0.1)
    x = random(10, 2, 4, 6, 5, low=-1).requires_grad_()
    expected = layer(x)
    with torch.autocast('cpu', torch.bfloat16):
        output = layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.05)
    output.sum().backward()
    for tensor in (x, *layer.parameters()):
        assert tensor.grad.dtype == torch.float32
        assert tensor.grad.abs().sum() > 0
