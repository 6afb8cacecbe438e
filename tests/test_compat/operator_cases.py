# SPDX-License-Identifier: Apache-2.0
"""Calls of mmcv's operators with reproducible inputs.

A case is a function without arguments. It returns the outputs and gradients of a public
function of ``mmcv.ops`` as arrays by name. NumPy's ``RandomState`` makes the inputs,
because its numbers are the same in all versions.

Run as a script, this module records the outputs of the installed mmcv, which must be a
compiled one:
    python -m tests.test_compat.operator_cases
"""

from functools import partial
from pathlib import Path

import mmcv.ops
import numpy as np
import torch

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden' / 'mmcv_operators.npz'

CASES = {}


def case(name, function, *args, **kwargs):
    assert name not in CASES, name
    CASES[name] = partial(function, *args, **kwargs)


def random(seed, *shape, low=0, high=1, dtype=torch.float32):
    array = np.random.RandomState(seed).uniform(low, high, shape)
    return torch.from_numpy(array).to(dtype)


# --- boxes ----------------------------------------------------------------------------


def random_boxes(number, seed=0):
    corners = random(seed, number, 2, high=60)
    return torch.cat(
        (corners, corners + random(seed + 1, number, 2, low=5, high=40)), 1
    )


def distinct_scores(number, seed=0):
    order = np.random.RandomState(seed).permutation(number)
    return torch.from_numpy((order + 1) / (number + 1)).float()


# Two boxes with an IoU of exactly 0.5, 0.6 and 0.7, for each offset.
AT_THRESHOLD = {
    (offset, tenths): torch.tensor(
        [[0, 0, 10 - offset, 10 - offset], [0, 0, 10 - offset, tenths - offset]]
    ).float()
    for offset in (0, 1)
    for tenths in (5, 6, 7)
}
# No areas; two boxes are identical, the last contains all.
ZERO_AREA = torch.tensor(
    [[4, 3, 5, 3], [3, 1, 3, 1], [3, 1, 3, 1], [4, 3, 5, 4], [7, 0, 7, 9], [0, 0, 9, 9]]
).float()
# Disjoint, such that all are kept.
DISJOINT = torch.tensor(
    [[0, 0, 4, 4], [5, 0, 9, 4], [0, 5, 4, 9], [5, 5, 9, 9]]
).float()

BOXES = {
    'random': (random_boxes(60), distinct_scores(60)),
    'empty': (torch.zeros(0, 4), torch.zeros(0)),
    'one': (random_boxes(1), torch.tensor([0.3])),
    'zero_area': (ZERO_AREA, distinct_scores(6, 2)),
    'identical': (random_boxes(1).repeat(5, 1), distinct_scores(5, 3)),
}


def run_nms(boxes, scores, *args, **kwargs):
    dets, keep = mmcv.ops.nms(boxes, scores, *args, **kwargs)
    return dict(dets=dets.numpy(), keep=keep.numpy())


def run_ties():
    """Compiled mmcv does not define the order of equal scores."""
    _, keep = mmcv.ops.nms(DISJOINT, torch.full((4,), 0.5), 0.5)
    return dict(keep=keep.sort().values.numpy())


def run_soft_nms(boxes, scores, **kwargs):
    dets, keep = mmcv.ops.soft_nms(boxes, scores, **kwargs)
    return dict(dets=dets.numpy(), keep=keep.numpy())


def run_nms_match(boxes, scores, threshold):
    groups = mmcv.ops.nms_match(torch.cat((boxes, scores[:, None]), 1), threshold)
    sizes = [len(group) for group in groups]
    members = [int(index) for group in groups for index in group]
    return dict(sizes=np.array(sizes, int), members=np.array(members, int))


def run_batched_nms(config, **kwargs):
    boxes, scores = random_boxes(80), distinct_scores(80)
    classes = torch.from_numpy(np.random.RandomState(4).randint(0, 3, 80))
    dets, keep = mmcv.ops.batched_nms(boxes, scores, classes, config, **kwargs)
    return dict(dets=dets.numpy(), keep=keep.numpy())


for name, boxes in BOXES.items():
    for offset in (0, 1):
        case(f'nms-{name}-{offset}', run_nms, *boxes, 0.5, offset)
        for method in ('naive', 'linear', 'gaussian'):
            case(
                f'soft_nms-{name}-{offset}-{method}',
                partial(run_soft_nms, min_score=0.05),
                *boxes,
                offset=offset,
                method=method,
            )
    case(f'nms_match-{name}', run_nms_match, *boxes, 0.4)
for (offset, tenths), boxes in AT_THRESHOLD.items():
    inputs = boxes, torch.tensor([0.9, 0.8])
    name, threshold = f'threshold-{offset}-{tenths}', tenths / 10
    case(f'nms-{name}', run_nms, *inputs, threshold, offset)
    for method in ('naive', 'linear'):
        case(
            f'soft_nms-{name}-{method}',
            run_soft_nms,
            *inputs,
            iou_threshold=threshold,
            offset=offset,
            method=method,
        )
    if offset == 0:
        case(f'nms_match-{name}', run_nms_match, *inputs, threshold)
case('nms-ties', run_ties)
case('nms-limits', run_nms, *BOXES['random'], 0.3, score_threshold=0.4, max_num=7)
# The order of equal scores is defined here.
TIES = torch.tensor([0.5, 0.9, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5])
for method in ('naive', 'linear', 'gaussian'):
    case(
        f'soft_nms-ties-{method}',
        run_soft_nms,
        random_boxes(8, 7),
        TIES,
        method=method,
        min_score=0.3,
    )
    # Several boxes are removed in one step, which changes the order of the others.
    case(
        f'soft_nms-many_ties-{method}',
        run_soft_nms,
        random_boxes(40, 8),
        (distinct_scores(40) * 3).ceil() / 4,
        method=method,
        min_score=0.24,
    )
case('soft_nms-min_score', run_soft_nms, *BOXES['random'], min_score=0.4, sigma=0.9)
for kind in ('nms', 'soft_nms'):
    config = dict(type=kind, iou_threshold=0.4)
    case(f'batched_nms-{kind}', run_batched_nms, config)
    case(f'batched_nms-{kind}-agnostic', run_batched_nms, config, class_agnostic=True)
    split = dict(config, split_thr=10)
    case(f'batched_nms-{kind}-split', run_batched_nms, split)
case('batched_nms-none', run_batched_nms, None)


# --- gradients ------------------------------------------------------------------------


def with_gradients(function, **inputs):
    """Output of a function, and its gradients for a random gradient of the output."""
    for tensor in inputs.values():
        tensor.requires_grad_()
    output = function(**inputs)
    output.backward(random(99, *output.shape, low=-1).to(output.dtype))
    gradients = {f'grad_{name}': tensor.grad for name, tensor in inputs.items()}
    tensors = dict(output=output.detach(), **gradients)
    return {name: tensor.numpy() for name, tensor in tensors.items()}


# --- regions --------------------------------------------------------------------------

# Inside, over a border, outside, less than a pixel, without area, the whole image.
REGIONS = torch.tensor(
    [
        [0, 4.3, 5.1, 25.7, 30.2],
        [1, -9.5, 3.2, 12.4, 18.9],
        [0, 20.6, 25.2, 50.1, 48.3],
        [1, 60, 60, 80, 80],
        [1, 8.2, 8.4, 8.9, 9.1],
        [0, 10, 10, 10, 10],
        [1, 0, 0, 40, 32],
        [0, 16, 8, 24, 16],
    ]
)


def run_roi_align(*args, dtype=torch.float32, regions=REGIONS):
    return with_gradients(
        lambda input: mmcv.ops.roi_align(input, regions.to(dtype), *args),
        input=random(5, 2, 2, 8, 10, low=-1, dtype=dtype),
    )


for aligned in (True, False):
    for sampling in (0, 2):
        for scale in (0.25, 0.125):
            args = ((3, 2), scale, sampling, 'avg', aligned)
            case(f'roi_align-{scale}-{sampling}-{aligned}', run_roi_align, *args)
    args = ((3, 2), 0.25, 0, 'avg', aligned)
    case(f'roi_align-float64-{aligned}', run_roi_align, *args, dtype=torch.float64)
    empty = partial(run_roi_align, regions=REGIONS[:0])
    case(f'roi_align-empty-{aligned}', empty, 4, 0.25, 0, 'avg', aligned)
case('roi_align-large', run_roi_align, 7, 1.0, 2)


# --- deformable convolutions ----------------------------------------------------------


def deform_conv_inputs(
    batch=2,
    channels=4,
    size=(5, 6),
    out_channels=4,
    kernel=(3, 3),
    stride=1,
    padding=1,
    dilation=1,
    groups=1,
    deform_groups=1,
    dtype=torch.float32,
    offset=2.0,
):
    """Tensors of a convolution, and the arguments that follow them."""
    height, width = (
        (size[i] + 2 * pair(padding)[i] - pair(dilation)[i] * (kernel[i] - 1) - 1)
        // pair(stride)[i]
        + 1
        for i in range(2)
    )
    elements = deform_groups * kernel[0] * kernel[1]
    tensors = dict(
        input=random(10, batch, channels, *size, low=-1, dtype=dtype),
        offset=offset
        * random(11, batch, 2 * elements, height, width, low=-1, dtype=dtype),
        weight=random(12, out_channels, channels // groups, *kernel, low=-1).to(dtype),
        mask=random(13, batch, elements, height, width, dtype=dtype),
        bias=random(14, out_channels, low=-1, dtype=dtype),
    )
    return tensors, (stride, padding, dilation, groups, deform_groups)


def pair(x):
    return x if isinstance(x, tuple) else (x, x)


def run_deform_conv(**kwargs):
    tensors, args = deform_conv_inputs(**kwargs)
    return with_gradients(
        lambda input, offset, weight: mmcv.ops.deform_conv2d(
            input, offset, weight, *args
        ),
        **{name: tensors[name] for name in ('input', 'offset', 'weight')},
    )


def run_modulated(bias=True, **kwargs):
    tensors, args = deform_conv_inputs(**kwargs)
    if not bias:
        del tensors['bias']
    return with_gradients(
        lambda input, offset, mask, weight, bias=None: mmcv.ops.modulated_deform_conv2d(
            input, offset, mask, weight, bias, *args
        ),
        **tensors,
    )


GEOMETRIES = {
    'plain': {},
    'stride': dict(stride=(2, 1), size=(7, 6), batch=1),
    'padding': dict(padding=(0, 2), kernel=(2, 3)),
    'dilation': dict(dilation=(1, 2), padding=(1, 2), size=(5, 7)),
    'groups': dict(groups=2, channels=4, out_channels=2),
    'deform_groups': dict(deform_groups=2, batch=3),
    'both_groups': dict(groups=2, deform_groups=4, padding=0),
    'float64': dict(dtype=torch.float64, deform_groups=2),
    # As in training from mmcv's initial weights: samples lie exactly on pixels, and
    # those of the padding exactly one pixel outside.
    'zero_offsets': dict(offset=0.0),
    'far_offsets': dict(offset=20.0),
}
for name, geometry in GEOMETRIES.items():
    case(f'deform_conv2d-{name}', run_deform_conv, **geometry)
    case(f'modulated_deform_conv2d-{name}', run_modulated, **geometry)
case('modulated_deform_conv2d-no_bias', run_modulated, bias=False)


def main():
    assert not mmcv._ext.__file__.endswith('.py'), 'mmcv is not compiled'
    arrays = {
        f'{name}/{output}': array
        for name, run in CASES.items()
        for output, array in run().items()
    }
    np.savez_compressed(GOLDEN, **arrays)
    print(f'{GOLDEN}: {len(CASES)} cases, {GOLDEN.stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    main()
