# SPDX-License-Identifier: Apache-2.0
from .cpn_head import CPNHead
from .global_net import GlobalNet
from .head_on_heatmaps import head_on_heatmaps
from .heatmaps import Heatmaps, float32_heatmaps, map_heatmaps, return_float32
from .refine_net import RefineNet

__all__ = [
    'CPNHead',
    'GlobalNet',
    'Heatmaps',
    'RefineNet',
    'float32_heatmaps',
    'head_on_heatmaps',
    'map_heatmaps',
    'return_float32',
]
