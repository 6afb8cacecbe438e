# SPDX-License-Identifier: Apache-2.0
from . import backbones, heads, losses

__all__ = ['backbones', 'heads', 'losses']
