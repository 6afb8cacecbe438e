# SPDX-License-Identifier: Apache-2.0
from .spatial_transformer import SpatialTransformer

__all__ = ['SpatialTransformer']
