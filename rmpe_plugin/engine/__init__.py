# SPDX-License-Identifier: Apache-2.0
from . import hooks

__all__ = ['hooks']
