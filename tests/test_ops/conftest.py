# SPDX-License-Identifier: Apache-2.0
"""Devices and dtypes on which functions of tensors are tested."""

import pytest
import torch

FLOATS = (torch.float32, torch.float64)
DEVICES = ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',)


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture(params=FLOATS, ids=str)
def dtype(request):
    return request.param


@pytest.fixture(params=[*FLOATS, torch.bfloat16], ids=str)
def any_dtype(request):
    """For functions that also compute in bfloat16."""
    return request.param
