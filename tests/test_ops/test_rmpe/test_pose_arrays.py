# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rmpe_plugin.ops.rmpe.pose_arrays import (
    convert_like,
    floating_dtype,
    to_float64,
    to_host,
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
def test_tensors_become_numpy_arrays_with_one_copy(dtype, monkeypatch):
    copies = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, 'cpu', lambda x: copies.append(x) or cpu(x))
    lengths = (2, 0, 1)
    arrays = dict(
        keypoints=[torch.full((n, 3, 2), 2, dtype=dtype) for n in lengths],
        keypoint_scores=[torch.full((n, 3), n, dtype=dtype) for n in lengths],
        person_scores=[torch.arange(n).to(dtype) for n in lengths],
    )
    on_host = to_host(arrays)
    assert len(copies) == 1
    for name, images in arrays.items():
        for tensor, array in zip(images, on_host[name], strict=True):
            assert array.dtype == np.float64
            assert array.shape == tensor.shape
            assert array.tolist() == tensor.tolist()
            array[:] = 7
    assert (arrays['keypoints'][0] == 2).all()


def test_numpy_arrays_stay_as_they_are():
    arrays = dict(keypoints=[np.zeros((1, 3, 2), 'float32')])
    assert to_host(arrays) is arrays


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
