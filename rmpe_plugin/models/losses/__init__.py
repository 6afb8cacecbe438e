# SPDX-License-Identifier: Apache-2.0
from .ohkm_loss import OHKMMSELoss

__all__ = ['OHKMMSELoss']
