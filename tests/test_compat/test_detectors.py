# SPDX-License-Identifier: Apache-2.0
"""Predictions and a training step of MMDetection's detectors."""

import mmcv
import numpy as np
import pytest

from rmpe_plugin.compat import mmcv_ext
from tests.test_compat.conftest import needs_compiled, use_operators
from tests.test_compat.detectors import DETECTORS, GOLDEN, run


def run_with(operators, name):
    with pytest.MonkeyPatch.context() as patch:
        use_operators(patch, operators)
        return run(name)


@pytest.fixture(scope='module', params=DETECTORS)
def detector(request):
    """Name of a detector, and its results with the operators of this project."""
    return request.param, run_with(mmcv_ext, request.param)


def assert_found(actual, expected, image, tolerance):
    """Each expected box is among the actual ones; the order of equal scores differs."""
    boxes, labels = actual[f'boxes{image}'], actual[f'labels{image}']
    tolerances = [100 * tolerance] * 4 + [tolerance]
    for box, label in zip(
        expected[f'boxes{image}'], expected[f'labels{image}'], strict=True
    ):
        close = np.isclose(boxes, box, rtol=tolerance, atol=tolerances).all(1)
        assert (close & (labels == label)).any(), (box, label)


def test_equals_recorded_results_of_compiled_mmcv(detector):
    """The tolerances are for processors that add in other orders.

    Changing the pixels by 1e-6 changes boxes by 0.01 pixels, losses by 1e-6 and norms
    of gradients by 1e-3 (relative) at most.
    """
    name, actual = detector
    with np.load(GOLDEN) as arrays:
        expected = {
            key.removeprefix(f'{name}/'): arrays[key]
            for key in arrays
            if key.startswith(f'{name}/')
        }
    assert {key for key in actual if not key.startswith('gradient/')} == set(expected)
    for key, value in expected.items():
        if key.startswith(('loss/', 'norm/')):
            tolerance = 1e-3 if key.startswith('loss/') else 1e-2
            np.testing.assert_allclose(actual[key], value, tolerance, err_msg=key)
    for image in range(2):
        assert len(expected[f'boxes{image}']) == 10
        assert_found(actual, expected, image, 1e-3)


@needs_compiled
def test_equals_compiled_mmcv(detector):
    name, actual = detector
    expected = run_with(mmcv._ext, name)
    assert actual.keys() == expected.keys()
    for image in range(2):
        assert len(actual[f'boxes{image}']) == len(expected[f'boxes{image}'])
        assert_found(actual, expected, image, 1e-5)
    for key, array in expected.items():
        if key.startswith(('loss/', 'norm/', 'gradient/')):
            tolerance = 1e-4 * np.abs(array).max(initial=1e-6)
            np.testing.assert_allclose(actual[key], array, 0, tolerance, err_msg=key)
