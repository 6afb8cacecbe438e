# SPDX-License-Identifier: Apache-2.0
from .ohkm_loss import OHKMMSELoss
from .window_loss import WindowCornerLoss

__all__ = ['OHKMMSELoss', 'WindowCornerLoss']
