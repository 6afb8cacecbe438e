# SPDX-License-Identifier: Apache-2.0
from .hourglass_pyramid import HourglassPyramid

__all__ = ['HourglassPyramid']
