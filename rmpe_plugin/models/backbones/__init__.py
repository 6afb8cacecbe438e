# SPDX-License-Identifier: Apache-2.0
from .hourglass_pyramid import HourglassPyramid
from .timm_pyramid import TimmPyramid

__all__ = ['HourglassPyramid', 'TimmPyramid']
