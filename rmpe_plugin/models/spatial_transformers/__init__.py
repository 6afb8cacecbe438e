# SPDX-License-Identifier: Apache-2.0
from .sdtn import SDTN
from .spatial_transformer import SpatialTransformer

__all__ = ['SDTN', 'SpatialTransformer']
