# SPDX-License-Identifier: Apache-2.0
from .parallel_sppe_hook import ParallelSPPEHook

__all__ = ['ParallelSPPEHook']
