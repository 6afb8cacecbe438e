# SPDX-License-Identifier: Apache-2.0
from .separable_fpn import SeparableFPN

__all__ = ['SeparableFPN']
