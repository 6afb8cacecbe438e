# SPDX-License-Identifier: Apache-2.0
"""Input and output arrays of pose NMS: checks, batches, chunks and conversion.

The poses of all images are concatenated along the first dimension. In the shapes below,
T is their total number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..boxes import valid_boxes

Array = np.ndarray | Tensor

# Limits of the memory, in bytes, for the pairs (of poses or of keypoints) that are
# processed together. On the CPU a chunk fits into the cache; on a GPU it is large
# enough to use the whole device.
CPU_CHUNK_BYTES = 2**23
GPU_CHUNK_BYTES = 2**30
# Intermediate results of one pair: up to 16 float64 numbers.
BYTES_PER_PAIR = 128


class PoseTensors(NamedTuple):
    """Concatenated poses of all images, as floating point tensors.

    Attributes:
        keypoints (Tensor): Keypoints (T, K, 2), pixels.
        keypoint_scores (Tensor): Their scores (T, K).
        bboxes (Tensor): Boxes of the poses (T, 4), xyxy, pixels.
        person_scores (Tensor, optional): Scores of the poses (T,).
    """

    keypoints: Tensor
    keypoint_scores: Tensor
    bboxes: Tensor
    person_scores: Tensor | None


def concatenate_images(
    keypoints: Sequence[Array],
    keypoint_scores: Sequence[Array],
    bboxes: Sequence[Array],
    person_scores: Sequence[Array] | None = None,
) -> PoseTensors:
    """Check the arrays of one or more images and concatenate them.

    Args:
        keypoints (Sequence[Array]): Keypoints of each image (N, K, 2). N may differ
            between images, K may not.
        keypoint_scores (Sequence[Array]): Their scores (N, K).
        bboxes (Sequence[Array]): Boxes of the poses (N, 4), xyxy, pixels.
        person_scores (Sequence[Array], optional): Scores of the poses (N,). Defaults
            to ``None``.

    Returns:
        PoseTensors: Copies of the input. Integers are converted to float64.

    Raises:
        TypeError: If the arrays are neither all numpy arrays nor all torch tensors.
        ValueError: If shapes or numbers of images disagree, or a box is not finite or
            has a negative width or height.

    Example:
        >>> image = np.zeros((3, 17, 2)), np.ones((3, 17)), np.zeros((3, 4))
        >>> tensors = concatenate_images(*zip(image, image))
        >>> tensors.keypoints.shape
        torch.Size([6, 17, 2])
    """
    arrays = dict(keypoints=keypoints, keypoint_scores=keypoint_scores, bboxes=bboxes)
    if person_scores is not None:
        arrays['person_scores'] = person_scores
    _check_types(arrays)
    _check_shapes(arrays)
    tensors = PoseTensors(
        _concatenate(keypoints),
        _concatenate(keypoint_scores),
        _concatenate(bboxes),
        None if person_scores is None else _concatenate(person_scores),
    )
    valid = valid_boxes(tensors.bboxes, allow_empty=True)
    if not valid.all():
        raise ValueError(
            'bboxes must be finite x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, got '
            f'{tensors.bboxes[~valid][0].tolist()}'
        )
    return tensors


def _check_types(arrays: dict[str, Sequence[Array]]) -> None:
    """Raise an error unless all arrays are numpy arrays or all are torch tensors."""
    types = {type(array) for images in arrays.values() for array in images}
    if not (types == {np.ndarray} or all(issubclass(t, Tensor) for t in types)):
        names = ', '.join(sorted(t.__name__ for t in types))
        raise TypeError(
            'pose NMS expects either numpy arrays only or torch tensors only, got '
            f'{names}'
        )


def _check_shapes(arrays: dict[str, Sequence[Array]]) -> None:
    """Raise an error if the arrays' shapes or their numbers of images disagree."""
    if len({len(images) for images in arrays.values()}) > 1:
        lengths = ', '.join(f'{name} of {len(a)}' for name, a in arrays.items())
        raise ValueError(f'all arguments must have equally many images, got {lengths}')
    keypoints = arrays['keypoints']
    first = keypoints[0].shape
    if len(first) != 3 or first[1] < 1 or first[2] != 2:
        raise ValueError(f'keypoints must be (N, K, 2), got {tuple(first)}')
    # The shapes without N. Person scores are (N,).
    shapes = dict(keypoints=first[1:], keypoint_scores=first[1:2], bboxes=(4,))
    for name, images in arrays.items():
        for i, (array, pose) in enumerate(zip(images, keypoints, strict=True)):
            expected = (len(pose), *shapes.get(name, ()))
            if array.shape != expected:
                raise ValueError(
                    f'{name} must be {expected} because keypoints are '
                    f'{tuple(pose.shape)}, got {tuple(array.shape)} (image {i} of the '
                    'batch)'
                )


def _concatenate(images: Sequence[Array]) -> Tensor:
    """Concatenate the arrays of all images as a floating point tensor (T, ...)."""
    if isinstance(images[0], np.ndarray):
        tensor = torch.from_numpy(np.concatenate(images))
    else:
        tensor = torch.cat([image for image in images if isinstance(image, Tensor)])
    return tensor if tensor.is_floating_point() else tensor.double()


def convert_like(tensor: Tensor, like: Array) -> Array:
    """Convert a tensor to a numpy array if ``like`` is one.

    Args:
        tensor (Tensor): Result, which may have been computed in inference mode.
        like (Array): An input array of the caller.

    Returns:
        Array: A numpy array, or a copy that supports autograd and in-place changes.

    Example:
        >>> convert_like(torch.tensor([1, 2]), np.zeros(5))
        array([1, 2])
    """
    return tensor.numpy() if isinstance(like, np.ndarray) else tensor.clone()


def chunk_size(pairs: int, device: torch.device) -> int:
    """Choose how many items are processed together, to bound the memory in bytes.

    Args:
        pairs (int): Number of pairs that one item consists of, at least 1.
        device (torch.device): Device that processes them.

    Returns:
        int: Number of items, at least 1.

    Example:
        >>> chunk_size(17, torch.device('cpu'))
        3855
    """
    limit = GPU_CHUNK_BYTES if device.type == 'cuda' else CPU_CHUNK_BYTES
    return max(1, limit // (BYTES_PER_PAIR * pairs))


def group_by_size(sizes: np.ndarray, device: torch.device) -> Iterator[Tensor]:
    """Group images with equally many poses, which needs no padding.

    Args:
        sizes (np.ndarray): Number of poses of each image. Images without poses are
            skipped.
        device (torch.device): Device of the indices.

    Yields:
        Tensor: Indices (B, N) of the poses of B images, into the concatenated poses.

    Example:
        >>> for index in group_by_size(np.array([2, 1, 2]), torch.device('cpu')):
        ...     print(index.tolist())
        [[2]]
        [[0, 1], [3, 4]]
    """
    starts = sizes.cumsum() - sizes
    for size in sorted(set(sizes.tolist()) - {0}):
        first = starts[sizes == size]
        step = chunk_size(size**2, device)
        for chunk in range(0, len(first), step):
            index = first[chunk : chunk + step, None] + np.arange(size)  # (B, N)
            yield torch.from_numpy(index).to(device)
