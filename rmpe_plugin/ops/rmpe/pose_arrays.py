# SPDX-License-Identifier: Apache-2.0
"""Arrays of pose NMS: conversion from and to the caller's arrays, and their checks.

Pose NMS computes with NumPy, also if the caller gives tensors: small operations of
torch take several times as long, on the CPU and on a GPU, and on the CPU they wait for
threads when other work occupies the cores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A numpy array or a tensor. Type checkers cannot check expressions of their union.
Array = Any


def to_host(
    arrays: Mapping[str, Sequence[Array]],
) -> Mapping[str, Sequence[np.ndarray]]:
    """Convert tensors of images (N, ...) to numpy, float64, with one copy for all."""
    keypoints = arrays['keypoints']
    if isinstance(keypoints[0], np.ndarray):
        return arrays
    joined = [torch.cat([x.detach() for x in images]) for images in arrays.values()]
    widths = [math.prod(tensor.shape[1:]) for tensor in joined]
    columns = [
        tensor.reshape(len(tensor), width).double()
        for tensor, width in zip(joined, widths, strict=True)
    ]
    ends = np.cumsum(widths)[:-1]
    parts = np.split(torch.cat(columns, 1).cpu().numpy(), ends, axis=1)
    last = np.cumsum([len(image) for image in keypoints])[:-1]
    return {
        name: np.split(part.reshape(tensor.shape), last)
        for name, part, tensor in zip(arrays, parts, joined, strict=True)
    }


def to_float64(images: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate arrays (N, ...) to a new array (T, ...)."""
    return np.concatenate(images, dtype=np.float64, casting='unsafe')


def poses_last(array: np.ndarray) -> np.ndarray:
    """Reverse the axes, contiguous: (T, K, ...) to (..., K, T)."""
    # NumPy sums fastest over the first axis, here the keypoints.
    return np.ascontiguousarray(array.T)


def take(array: np.ndarray, index: Any) -> np.ndarray:
    """Numbers ``array[..., index]`` of the poses at an index."""
    # twice as fast as an index of the last axis
    return array.take(index, axis=-1)


def floating_dtype(images: Sequence[Array]) -> Any:
    """Common dtype of the caller's arrays; float64 if they are integers."""
    dtypes = {image.dtype for image in images}
    if isinstance(images[0], np.ndarray):
        dtype = reduce(np.promote_types, dtypes)
        return dtype if dtype.kind == 'f' else np.float64
    dtype = reduce(torch.promote_types, dtypes)
    return dtype if dtype.is_floating_point else torch.float64


def convert_like(array: Array, like: Array, dtype: Any = None) -> Array:
    """Convert a result to the type and device of the caller's array ``like``."""
    if isinstance(like, np.ndarray):
        return array if dtype is None else array.astype(dtype, copy=False)
    return torch.as_tensor(array, device=like.device, dtype=dtype)


def check_arrays(arrays: Mapping[str, Sequence[Array]]) -> None:
    """Check types and shapes of the arrays of one or more images, by name."""
    types = {type(array) for images in arrays.values() for array in images}
    if not (types == {np.ndarray} or all(issubclass(t, Tensor) for t in types)):
        names = ', '.join(sorted(t.__name__ for t in types))
        raise TypeError(
            'pose NMS expects either numpy arrays only or torch tensors only, got '
            f'{names}'
        )
    keypoints = arrays['keypoints']
    if len({len(images) for images in arrays.values()}) > 1:
        lengths = ', '.join(f'{name} of {len(a)}' for name, a in arrays.items())
        raise ValueError(f'all arguments must have equally many images, got {lengths}')
    first = keypoints[0].shape
    if len(first) != 3 or first[1] < 1 or first[2] != 2:
        raise ValueError(f'keypoints must be (N, K, 2), got {tuple(first)}')
    # The shapes without N.
    shapes = ((first[1], 2), (first[1],), (4,), ())
    for (name, images), shape in zip(arrays.items(), shapes, strict=False):
        for n, array in enumerate(images):
            number = len(keypoints[n])
            if array.shape != (number, *shape):
                raise ValueError(
                    f'{name} must be {(number, *shape)} because keypoints are '
                    f'{tuple(keypoints[n].shape)}, got {tuple(array.shape)} (image {n} '
                    'of the batch)'
                )
