# SPDX-License-Identifier: Apache-2.0
from .pose_visualizer import NumpySafePoseVisualizer
from .stages import stage_pictures, stage_sheet

__all__ = ['NumpySafePoseVisualizer', 'stage_pictures', 'stage_sheet']
