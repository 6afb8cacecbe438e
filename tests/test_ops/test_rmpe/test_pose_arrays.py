# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rmpe_plugin.ops.rmpe.pose_arrays import (
    convert_like,
    floating_dtype,
    namespace,
    to_float64,
)

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64', 'int64'])
def test_numpy_arrays_are_copied_to_float64(dtype):
    images = [np.ones((2, 3), dtype), np.zeros((0, 3), dtype), np.ones((1, 3), dtype)]
    array = to_float64(images)
    assert array.dtype == np.float64
    assert array.shape == (3, 3)
    array[:] = 7
    assert (images[0] == 1).all()


@pytest.mark.parametrize('dtype', [*FLOATS, torch.int64])
def test_tensors_on_the_cpu_become_numpy_arrays(dtype):
    tensor = torch.ones(2, 3, dtype=dtype)
    array = to_float64([tensor])
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float64
    array[:] = 7
    assert (tensor == 1).all()


def test_tensors_on_another_device_stay_there():
    array = to_float64([torch.ones(2, 3, device='meta')])
    assert array.device.type == 'meta'
    assert array.dtype == torch.float64
    assert namespace(array) is torch


@pytest.mark.parametrize(
    ('dtypes', 'expected'),
    [
        (['float16'], np.float16),
        (['float32', 'float64', 'float32'], np.float64),
        (['int32'], np.float64),
    ],
)
def test_common_dtype_of_numpy_arrays(dtypes, expected):
    assert floating_dtype([np.zeros(1, dtype) for dtype in dtypes]) == expected


@pytest.mark.parametrize(
    ('dtypes', 'expected'),
    [
        ([torch.bfloat16], torch.bfloat16),
        ([torch.float16, torch.float32], torch.float32),
        ([torch.int32], torch.float64),
    ],
)
def test_common_dtype_of_tensors(dtypes, expected):
    assert floating_dtype([torch.zeros(1, dtype=d) for d in dtypes]) == expected


def test_convert_like():
    array = np.array([1.5, 2.5])
    assert convert_like(array, np.zeros(1), np.float32).dtype == np.float32
    tensor = convert_like(array, torch.zeros(1), torch.bfloat16)
    assert tensor.dtype == torch.bfloat16
    assert convert_like(np.arange(3), torch.zeros(1)).tolist() == [0, 1, 2]
