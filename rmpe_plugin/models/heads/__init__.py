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
from .refine_net import RefineNet

__all__ = [
    'CPNHead',
    'GlobalNet',
    'Heatmaps',
    'RefineNet',
    'STAGES',
    'add_mirrored',
    'average_views',
    'decoded_heatmaps',
    'float32_heatmaps',
    'head_on_heatmaps',
    'last_stage',
    'map_heatmaps',
    'return_float32',
    'split_views',
]
