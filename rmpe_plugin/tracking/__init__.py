# SPDX-License-Identifier: Apache-2.0
"""Ids of people in videos."""

from .box_tracker import BOX_TRACKERS, BoxTracker
from .clock import Clock
from .people_tracker import (
    TRACKERS,
    MakeTracker,
    PeopleTracker,
    check_tracker,
    tracker_maker,
)
from .pose_smoother import PoseSmoother
from .pose_tracker import SIMILARITIES, PoseTracker
from .tracker import NOT_TRACKED, Tracker

__all__ = [
    'BOX_TRACKERS',
    'BoxTracker',
    'Clock',
    'MakeTracker',
    'NOT_TRACKED',
    'PeopleTracker',
    'PoseSmoother',
    'PoseTracker',
    'SIMILARITIES',
    'TRACKERS',
    'Tracker',
    'check_tracker',
    'tracker_maker',
]
