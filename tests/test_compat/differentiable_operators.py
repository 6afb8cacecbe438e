# SPDX-License-Identifier: Apache-2.0
"""Differentiable operators of mmcv with small inputs."""

from contextlib import nullcontext
from typing import Any, NamedTuple

import mmcv.ops
import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

from tests.test_compat.operator_cases import REGIONS, deform_conv_inputs, random


class Operator(NamedTuple):
    """A function of tensors, by name, with and without gradients."""

    function: Any
    inputs: dict
    constants: dict


def roi_align(input, regions):
    return mmcv.ops.roi_align(input, regions, 3, 0.25)


def roi_pool(input, regions):
    return mmcv.ops.roi_pool(input, regions, 3, 0.25)


def focal_loss(input, target, weight):
    return mmcv.ops.sigmoid_focal_loss(input, target, 2.0, 0.25, weight, 'none')


def deform_conv(input, offset, weight):
    return mmcv.ops.deform_conv2d(input, offset, weight, *CONVOLUTION_ARGS)


def modulated_deform_conv(input, offset, mask, weight, bias):
    return mmcv.ops.modulated_deform_conv2d(
        input, offset, mask, weight, bias, *CONVOLUTION_ARGS
    )


def attention(value, locations, weights, shapes, start):
    return MultiScaleDeformableAttnFunction.apply(
        value, shapes, start, locations, weights, 64
    )


FEATURES = random(5, 2, 2, 8, 10, low=-1)
CONVOLUTION, CONVOLUTION_ARGS = deform_conv_inputs(deform_groups=2)
OPERATORS = {
    'roi_align': Operator(roi_align, dict(input=FEATURES), dict(regions=REGIONS)),
    'roi_pool': Operator(roi_pool, dict(input=FEATURES), dict(regions=REGIONS)),
    'focal_loss': Operator(
        focal_loss,
        dict(input=random(1, 4, 3, low=-5, high=5)),
        dict(target=torch.tensor([0, 1, 2, 0]), weight=random(2, 3)),
    ),
    'deform_conv': Operator(
        deform_conv,
        {key: CONVOLUTION[key] for key in ('input', 'offset', 'weight')},
        {},
    ),
    'modulated_deform_conv': Operator(modulated_deform_conv, CONVOLUTION, {}),
    'attention': Operator(
        attention,
        dict(
            value=random(5, 2, 26, 2, 3, low=-1),
            locations=random(6, 2, 3, 2, 2, 4, 2, low=-0.2, high=1.2),
            weights=random(7, 2, 3, 2, 2, 4),
        ),
        dict(shapes=torch.tensor([[4, 5], [2, 3]]), start=torch.tensor([0, 20])),
    ),
}


def run(operator, convert, context=None):
    """Output and gradients of converted inputs.

    The gradient of the output is 0 or 1, since mmcv multiplies that of the focal loss
    by it. Autograd's engine, which needs a GPU for CUDA tensors, is not used.

    Args:
        operator (Operator): The operator.
        convert (Callable): Function of each tensor.
        context (AbstractContextManager, optional): Context of both passes.

    Returns:
        list[Tensor]: Output, and the gradient by each input.
    """
    inputs = {
        key: convert(x).detach().requires_grad_() for key, x in operator.inputs.items()
    }
    constants = {key: convert(x) for key, x in operator.constants.items()}
    with context or nullcontext():
        output = operator.function(**inputs, **constants)
    gradient = random(99, *output.shape).round().to(output)
    with context or nullcontext():
        gradients = output.grad_fn.apply(gradient)
    return [output.detach(), *(x for x in gradients if x is not None)]
