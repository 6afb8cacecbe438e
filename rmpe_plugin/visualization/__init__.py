# SPDX-License-Identifier: Apache-2.0
from .pose_visualizer import NumpySafePoseVisualizer
from .stages import put_title, stage_pictures, stage_sheet

__all__ = ['NumpySafePoseVisualizer', 'put_title', 'stage_pictures', 'stage_sheet']
