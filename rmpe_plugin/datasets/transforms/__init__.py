# SPDX-License-Identifier: Apache-2.0
from .cpn_crop import CPNBBoxCenterScale
from .visibility import RawVisibility

__all__ = ['CPNBBoxCenterScale', 'RawVisibility']
