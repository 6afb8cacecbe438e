# SPDX-License-Identifier: Apache-2.0
from .cpu_bfloat16 import CPUBFloat16OptimWrapper

__all__ = ['CPUBFloat16OptimWrapper']
