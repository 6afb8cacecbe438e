# SPDX-License-Identifier: Apache-2.0
"""The flip test of each kind of head: what its predictions of mirrored crops mean."""

from collections.abc import Sequence

import torch
from mmpose.models import TopdownPoseEstimator
from mmpose.models.utils.tta import flip_coordinates, flip_vectors
from torch import Tensor

from rmpe_plugin.models.heads import (
    HEATMAP_HEADS,
    REGRESSION_HEADS,
    SIMCC_HEADS,
    Heatmaps,
    average_views,
    last_stage,
    map_heatmaps,
)
from rmpe_plugin.ops import at_least_float32

HEADS = (*HEATMAP_HEADS, *SIMCC_HEADS, *REGRESSION_HEADS)

# Heatmaps (B, K, H, W); SimCC vectors (B, K, W) and (B, K, H); or coordinates
# (B, K, 2 or 4), relative to the crop, with RLE's sigmas.
Encoded = Tensor | tuple[Tensor, Tensor]


def combine_views(model: TopdownPoseEstimator, views: Sequence[Heatmaps]) -> Encoded:
    """Average what a head predicts for crops and for mirrored crops.

    Args:
        model (TopdownPoseEstimator): The model; ``test_cfg`` and ``dataset_meta`` are
            applied as in its ``predict``.
        views (Sequence): Outputs of ``head.forward`` for the crops and, in a flip test,
            for the mirrored crops.

    Returns:
        Encoded: What the codec decodes, float32.
    """
    views = [map_heatmaps(at_least_float32, view) for view in views]
    flip_indices = model.dataset_meta['flip_indices']
    if isinstance(model.head, SIMCC_HEADS):
        return _average_vectors(views, flip_indices)
    if isinstance(model.head, REGRESSION_HEADS):
        return _average_coordinates(views, flip_indices, model)
    # The head decodes the last of several stages.
    decoded = [last_stage(view) for view in views]
    return average_views(decoded, flip_indices, model.test_cfg)


def _average_vectors(views: Sequence, flip_indices: Sequence[int]) -> Encoded:
    """Average SimCC vectors (B, K, W) and (B, K, H)."""
    (x, y), *mirrored = views
    if not mirrored:
        return x, y
    flipped = flip_vectors(*mirrored[0], flip_indices=flip_indices)
    return (x + flipped[0]) * 0.5, (y + flipped[1]) * 0.5


def _average_coordinates(
    views: Sequence, flip_indices: Sequence[int], model: TopdownPoseEstimator
) -> Encoded:
    """Average coordinates (B, K, 2), and RLE's sigmas (B, K, 2) beside them."""
    coordinates, *mirrored = (
        torch.cat((view[..., :2], view[..., 2:].sigmoid()), dim=-1) for view in views
    )
    if not mirrored:
        return coordinates
    flipped = flip_coordinates(
        mirrored[0],
        flip_indices=flip_indices,
        shift_coords=model.test_cfg.get('shift_coords', True),
        input_size=model.head.decoder.input_size,
    )
    return (coordinates + flipped) * 0.5
