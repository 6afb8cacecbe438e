# SPDX-License-Identifier: Apache-2.0
"""Arrays of pose NMS: conversion from and to the caller's arrays, and their checks.

Poses on the CPU are numpy arrays, also if the caller gives tensors: small operations of
torch take several times as long, and wait for threads when other work occupies the
cores. Poses on another device are tensors and stay there. Both have the same operators
and methods; :func:`namespace` gives the functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A numpy array or a tensor. Type checkers cannot check expressions of their union.
Array = Any


def namespace(array: Array) -> ModuleType:
    """Module with the functions for an array: numpy or torch."""
    return np if isinstance(array, np.ndarray) else torch


def to_float64(images: Sequence[Array]) -> Array:
    """Concatenate arrays (N, ...) of the caller to a new array (T, ...)."""
    if isinstance(images[0], np.ndarray):
        return np.concatenate(images, dtype=np.float64, casting='unsafe')
    tensor = torch.cat([image.detach() for image in images]).double()
    return tensor.numpy() if tensor.device.type == 'cpu' else tensor


def poses_last(array: Array) -> Array:
    """Reverse the axes, contiguous: (T, K, ...) to (..., K, T)."""
    # NumPy sums fastest over the first axis, here the keypoints.
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array.T)
    return array.swapaxes(0, -1).contiguous()


def take(array: Array, index: Any) -> Array:
    """Numbers ``array[..., index]`` of the poses at an index."""
    # twice as fast as an index of the last axis
    if isinstance(array, np.ndarray):
        return array.take(index, axis=-1)
    return array[..., index]


def to_host(array: Array) -> np.ndarray:
    """Convert to numpy, which waits for the device if there is one."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def to_device_of(poses: Array, array: np.ndarray) -> Array:
    """Convert an array to the type and device of the poses."""
    if isinstance(poses, np.ndarray):
        return array
    return torch.as_tensor(array, device=poses.device)


def floating_dtype(images: Sequence[Array]) -> Any:
    """Common dtype of the caller's arrays; float64 if they are integers."""
    dtypes = {image.dtype for image in images}
    promote = namespace(images[0]).promote_types
    dtype = reduce(promote, dtypes)
    if dtype.kind == 'f' if isinstance(dtype, np.dtype) else dtype.is_floating_point:
        return dtype
    return namespace(images[0]).float64


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
