# SPDX-License-Identifier: Apache-2.0
from .pose_visualizer import NumpySafePoseVisualizer
from .stages import draw_batch_stages, draw_stages, stage_sheet

__all__ = [
    'NumpySafePoseVisualizer',
    'draw_batch_stages',
    'draw_stages',
    'stage_sheet',
]
