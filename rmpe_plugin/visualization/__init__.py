# SPDX-License-Identifier: Apache-2.0
from .pose_visualizer import NumpySafePoseVisualizer

__all__ = ['NumpySafePoseVisualizer']
