# SPDX-License-Identifier: Apache-2.0
"""Ids of people in videos."""

from .pose_tracker import SIMILARITIES, PoseTracker
from .tracker import NOT_TRACKED, Tracker

__all__ = ['NOT_TRACKED', 'SIMILARITIES', 'PoseTracker', 'Tracker']
