# SPDX-License-Identifier: Apache-2.0
from .cpn_heatmap import CPNHeatmap

__all__ = ['CPNHeatmap']
