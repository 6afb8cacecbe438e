# SPDX-License-Identifier: Apache-2.0
from . import transforms

__all__ = ['transforms']
