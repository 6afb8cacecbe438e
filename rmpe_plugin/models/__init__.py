# SPDX-License-Identifier: Apache-2.0
from . import backbones, heads, losses, necks, pose_estimators, spatial_transformers

__all__ = [
    'backbones',
    'heads',
    'losses',
    'necks',
    'pose_estimators',
    'spatial_transformers',
]
