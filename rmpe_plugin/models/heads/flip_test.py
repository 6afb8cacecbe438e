# SPDX-License-Identifier: Apache-2.0
"""The flip test: the average of the heatmaps of images and of mirrored images."""

from collections.abc import Sequence

import torch
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.utils.typing import ConfigType
from torch import Tensor

from .heatmaps import Heatmaps, map_heatmaps


def add_mirrored(images: Tensor, test_cfg: ConfigType) -> Tensor:
    """Append the mirrored images to images (B, C, h, w) if ``test_cfg.flip_test``.

    Returns:
        Tensor: Images (V * B, C, h, w) of V = 1 or 2 views.
    """
    if not test_cfg.get('flip_test', False):
        return images
    return torch.cat((images, images.flip(-1)))


def split_views(outputs: Heatmaps, test_cfg: ConfigType) -> list[Heatmaps]:
    """Split tensors (V * B, ...), also nested, that belong to :func:`add_mirrored`.

    Returns:
        list: Of each of the V views, tensors (B, ...) in the structure of the input.
    """
    views = 1 + bool(test_cfg.get('flip_test', False))
    return [
        map_heatmaps(lambda x, i=i: x.unflatten(0, (views, -1))[i], outputs)
        for i in range(views)
    ]


def average_views(
    views: Sequence[Tensor], flip_indices: Sequence[int] | None, test_cfg: ConfigType
) -> Tensor:
    """Average the heatmaps of the images with those of the mirrored images.

    Args:
        views (Sequence[Tensor]): Heatmaps (B, K, H, W) of one or two views.
        flip_indices (Sequence[int]): Index of each keypoint in a mirrored image.
        test_cfg (dict): ``flip_mode`` and ``shift_heatmap``, as in MMPose.

    Returns:
        Tensor: Heatmaps (B, K, H, W); of one view, these.

    Raises:
        ValueError: If there are two views and not K ``flip_indices``.
    """
    heatmaps, *mirrored = views
    if not mirrored:
        return heatmaps
    if flip_indices is None or len(flip_indices) != heatmaps.shape[1]:
        raise ValueError(
            'test_cfg.flip_test needs flip_indices of the data set, one for each of '
            f'{heatmaps.shape[1]} keypoints, got {flip_indices}'
        )
    flipped = flip_heatmaps(
        mirrored[0],
        flip_mode=test_cfg.get('flip_mode', 'heatmap'),
        shift_heatmap=test_cfg.get('shift_heatmap', False),
    )
    # An index by a list, as MMPose's, is copied from the host, which waits for it.
    planes = flipped.split(1, dim=1)
    return (heatmaps + torch.cat([planes[i] for i in flip_indices], dim=1)) / 2
