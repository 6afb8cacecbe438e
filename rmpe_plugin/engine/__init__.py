# SPDX-License-Identifier: Apache-2.0
from . import hooks, optim_wrappers

__all__ = ['hooks', 'optim_wrappers']
