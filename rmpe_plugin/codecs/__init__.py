# SPDX-License-Identifier: Apache-2.0
from .cpn_heatmap import CPNHeatmap
from .score_range import score_range

__all__ = ['CPNHeatmap', 'score_range']
