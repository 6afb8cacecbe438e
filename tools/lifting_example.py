# SPDX-License-Identifier: Apache-2.0
"""Lift synthetic videos to three dimensions with the quickstart's CPN.

Renders videos, predicts poses frame by frame, writes them in MMPose's format, trains
MMPose's VideoPoseLift on them and tests it on held-out videos. Writes to
data/synthetic_videos and work_dirs/lifting. A run that was interrupted continues where
it stopped.

Example:
    python tools/lifting_example.py
"""

import sys
from pathlib import Path

from rmpe_plugin.learning.lifting_example import run
from rmpe_plugin.learning.stage_program import main

if __name__ == '__main__':
    sys.exit(main(__doc__, run, Path(__file__).resolve().parents[1]))
