# SPDX-License-Identifier: Apache-2.0
from .parallel_sppe_hook import ParallelSPPEHook
from .stage_visualization_hook import StageVisualizationHook

__all__ = ['ParallelSPPEHook', 'StageVisualizationHook']
