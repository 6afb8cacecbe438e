# SPDX-License-Identifier: Apache-2.0
from .cpn_head import STAGES, CPNHead
from .flip_test import add_mirrored, average_views, split_views
from .global_net import GlobalNet
from .head_on_heatmaps import head_on_heatmaps
from .heatmaps import (
    Heatmaps,
    decoded_heatmaps,
    float32_heatmaps,
    last_stage,
    map_heatmaps,
    return_float32,
)
from .kinds import (
    HEATMAP_HEADS,
    REGRESSION_HEADS,
    SIMCC_HEADS,
    predicts_coordinates,
    predicts_heatmaps,
)
from .refine_net import RefineNet

__all__ = [
    'CPNHead',
    'GlobalNet',
    'HEATMAP_HEADS',
    'Heatmaps',
    'REGRESSION_HEADS',
    'RefineNet',
    'SIMCC_HEADS',
    'STAGES',
    'add_mirrored',
    'average_views',
    'decoded_heatmaps',
    'float32_heatmaps',
    'head_on_heatmaps',
    'last_stage',
    'map_heatmaps',
    'predicts_coordinates',
    'predicts_heatmaps',
    'return_float32',
    'split_views',
]
