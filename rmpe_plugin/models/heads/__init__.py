# SPDX-License-Identifier: Apache-2.0
from .cpn_head import CPNHead
from .global_net import GlobalNet
from .refine_net import RefineNet
from .sdtn import WarpedFeatures, add_sdtn

__all__ = ['CPNHead', 'GlobalNet', 'RefineNet', 'WarpedFeatures', 'add_sdtn']
