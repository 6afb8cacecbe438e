# SPDX-License-Identifier: Apache-2.0
from .cpn_head import CPNHead
from .global_net import GlobalNet
from .head_on_heatmaps import head_on_heatmaps
from .refine_net import RefineNet

__all__ = ['CPNHead', 'GlobalNet', 'RefineNet', 'head_on_heatmaps']
