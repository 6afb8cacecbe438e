# SPDX-License-Identifier: Apache-2.0
from .cpn_heatmap import CPNHeatmap
from .crop_geometry import CropGeometry
from .crop_pixels import crop_pixels
from .score_range import score_range

__all__ = ['CPNHeatmap', 'CropGeometry', 'crop_pixels', 'score_range']
