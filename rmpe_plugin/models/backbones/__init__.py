# SPDX-License-Identifier: Apache-2.0
from .hourglass_pyramid import HourglassPyramid
from .mobilenet_pyramid import MobileNetV2Pyramid
from .timm_pyramid import TimmPyramid

__all__ = ['HourglassPyramid', 'MobileNetV2Pyramid', 'TimmPyramid']
