# SPDX-License-Identifier: Apache-2.0
from .cpn_heatmap import CPNHeatmap
from .crop_pixels import crop_pixels

__all__ = ['CPNHeatmap', 'crop_pixels']
