# SPDX-License-Identifier: Apache-2.0
"""Operators on fake CUDA tensors: no copy between host and device, no mixed devices.

Soft-NMS and NMS match are not here, because mmcv runs them on the host.
"""

import mmcv.ops
import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from tests.test_compat.differentiable_operators import OPERATORS, run
from tests.test_compat.operator_cases import BOXES
from tests.test_fake_cuda import ForbidCopies

pytestmark = [
    pytest.mark.usefixtures('ours'),
    pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'"),
]


HALF = pytest.mark.parametrize('dtype', [torch.float32, torch.float16], ids=str)
NEEDS_GPU = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="its gradient is from autograd's engine, which needs a GPU for CUDA tensors",
)


def to_cuda(dtype):
    return lambda x: x.to('cuda', dtype if x.is_floating_point() else x.dtype)


@HALF
@pytest.mark.parametrize('name', OPERATORS)
def test_forward_pass(name, dtype):
    function, inputs, constants = OPERATORS[name]
    expected = function(**inputs, **constants)
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = {key: to_cuda(dtype)(x) for key, x in {**inputs, **constants}.items()}
        with ForbidCopies():
            output = function(**tensors)
    assert output.is_cuda
    assert output.dtype == dtype
    assert output.shape == expected.shape


@HALF
@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=NEEDS_GPU if name == 'attention' else ())
        for name in OPERATORS
    ],
)
def test_backward_pass(name, dtype):
    shapes = [x.shape for x in run(OPERATORS[name], lambda x: x)]
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors = run(OPERATORS[name], to_cuda(dtype), ForbidCopies())
    assert all(x.is_cuda and x.dtype == dtype for x in tensors)
    assert [x.shape for x in tensors] == shapes


def test_nms_has_an_output_of_unknown_size():
    boxes, scores = BOXES['random']
    # The number of kept boxes is that of the data, everything before runs.
    with FakeTensorMode(allow_non_fake_inputs=True):
        boxes, scores = boxes.to('cuda'), scores.to('cuda')
        with (
            ForbidCopies(),
            pytest.raises(DynamicOutputShapeException, match='torchvision.nms'),
        ):
            mmcv.ops.nms(boxes, scores, 0.5, offset=1)
