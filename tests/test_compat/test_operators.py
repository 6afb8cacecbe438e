# SPDX-License-Identifier: Apache-2.0
"""Operators that compiled mmcv has on the CPU, against its results.

Indices must be equal. Sums of float32 numbers depend on the order of the additions. The
tolerance is 1e-5 of the largest number of an array, about a hundred roundings.
"""

import mmcv.ops
import numpy as np
import pytest
import torch

from rmpe_plugin.compat import mmcv_ext
from tests.test_compat.conftest import needs_compiled
from tests.test_compat.operator_cases import (
    BOXES,
    CASES,
    DISJOINT,
    GOLDEN,
    distinct_scores,
    random_boxes,
)

TOLERANCE = {'float32': 1e-5, 'float64': 1e-12}


@pytest.fixture(scope='module')
def recorded():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    tolerance = TOLERANCE.get(expected.dtype.name, 0)
    largest = np.nanmax(np.abs(expected), initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize('name', CASES)
def test_equals_recorded_results_of_compiled_mmcv(name, ours, recorded):
    results = CASES[name]()
    names = {key for key in recorded if key.split('/')[0] == name}
    assert {f'{name}/{output}' for output in results} == names
    for output, array in results.items():
        assert_close(array, recorded[f'{name}/{output}'])


@needs_compiled
@pytest.mark.parametrize('name', CASES)
def test_equals_compiled_mmcv(name, request):
    expected = CASES[name]()
    request.getfixturevalue('ours')
    actual = CASES[name]()
    for output, array in expected.items():
        assert_close(actual[output], array)


@needs_compiled
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('seed', range(20))
def test_many_boxes_equal_compiled_mmcv(seed, offset, request):
    # Whole numbers, so that many IoUs are equal to the threshold.
    boxes, scores = random_boxes(400, seed).round(), distinct_scores(400, seed)
    threshold = (seed % 7 + 2) / 10

    def run():
        yield from mmcv.ops.nms(boxes, scores, threshold, offset)
        for method in ('naive', 'linear', 'gaussian'):
            yield from mmcv.ops.soft_nms(
                boxes, scores, threshold, method=method, offset=offset
            )
        yield from mmcv.ops.nms_match(torch.cat((boxes, scores[:, None]), 1), threshold)

    expected = list(run())
    request.getfixturevalue('ours')
    torch.testing.assert_close(list(run()), expected)


def test_equal_scores_keep_their_order(ours):
    boxes = torch.cat([DISJOINT + 20 * i for i in range(25)])
    scores = (distinct_scores(100) * 4).ceil() / 5
    expected = sorted(range(100), key=lambda i: -scores[i].item())
    _, keep = mmcv.ops.nms(boxes, scores, 0.5)
    assert keep.tolist() == expected
    groups = mmcv.ops.nms_match(torch.cat((boxes, scores[:, None]), 1), 0.5)
    assert [group.tolist() for group in groups] == [[i] for i in expected]


def test_identical_boxes_without_area_get_no_score(ours):
    boxes = torch.tensor([[3.0, 1, 3, 1]] * 2)
    dets, keep = mmcv.ops.soft_nms(boxes, torch.tensor([0.9, 0.5]), method='gaussian')
    assert keep.tolist() == [0, 1]
    assert dets[1, 4].isnan()


def test_inputs_are_not_changed(ours):
    boxes, scores = (x.clone() for x in BOXES['random'])
    mmcv.ops.soft_nms(boxes, scores)
    mmcv.ops.nms_match(torch.cat((boxes, scores[:, None]), 1), 0.5)
    mmcv.ops.nms(boxes, scores, 0.5, offset=1)
    assert boxes.equal(BOXES['random'][0])
    assert scores.equal(BOXES['random'][1])


def test_scale_of_the_gradient_by_the_kernel():
    x, grad = random_boxes(4).reshape(1, 1, 4, 4), torch.ones(1, 1, 2, 2)
    gradients = []
    for scale in (1, 0.5):
        gradients.append(torch.zeros(1, 1, 3, 3))
        arguments = (3, 3, 1, 1, 0, 0, 1, 1, 1, 1, scale, 1)
        mmcv_ext.deform_conv_backward_parameters(
            x, torch.zeros(1, 18, 2, 2), grad, gradients[-1], x, x, *arguments
        )
    assert gradients[0].all()
    torch.testing.assert_close(gradients[1], gradients[0] / 2)


def test_raises_on_maximum_pooling_of_roi_align(ours):
    x, boxes = torch.zeros(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]])
    with pytest.raises(NotImplementedError, match=r"roi_align with pool_mode='max'"):
        mmcv.ops.roi_align(x, boxes, 2, 1.0, 0, 'max', True)
