# SPDX-License-Identifier: Apache-2.0
"""Ids of people in several videos."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.inference import Frame
from rmpe_plugin.structures.categories import DEFAULT_SIGMA

from .box_tracker import BOX_TRACKERS, BoxTracker
from .pose_smoother import PoseSmoother
from .pose_tracker import PoseTracker
from .tracker import NOT_TRACKED, Tracker

#: Names of the trackers.
TRACKERS = ('pose', *BOX_TRACKERS)
MakeTracker = Callable[[], Tracker]


def check_tracker(name: str) -> None:
    """Check that a tracker can be used.

    Args:
        name (str): Its name.

    Raises:
        ImportError: If the tracker needs a package that is not installed.
        ValueError: If no tracker has this name.
    """
    if name not in TRACKERS:
        raise ValueError(f'track must be one of {TRACKERS}, got {name!r}')
    if name in BOX_TRACKERS:
        BoxTracker(name)


def tracker_maker(name: str, dataset_meta: dict) -> MakeTracker:
    """Find a tracker by its name.

    Args:
        name (str): One of :data:`TRACKERS`.
        dataset_meta (dict): MMPose's description of the keypoints.

    Returns:
        MakeTracker: Function that makes a tracker for one video.

    Raises:
        ImportError: See :func:`check_tracker`.
        ValueError: See :func:`check_tracker`.
    """
    check_tracker(name)
    if name in BOX_TRACKERS:
        return partial(BoxTracker, name)
    sigmas: Sequence[float] = dataset_meta.get('sigmas', ())
    if not len(sigmas):
        sigmas = [DEFAULT_SIGMA] * dataset_meta['num_keypoints']
    return partial(PoseTracker, sigmas)


class PeopleTracker:
    """Gives the people of videos ids that start with 1 in each video.

    Images of one folder are the frames of one video.

    Args:
        make (MakeTracker): Makes the tracker of a video.
        smooth (bool): Whether keypoints are smoothed, see :class:`PoseSmoother`.
            Defaults to ``False``.
        det_every (int): Frames from one detection to the next one; the tracker must
            have ``predict_boxes`` if it is above 1. Defaults to 1.
    """

    def __init__(
        self, make: MakeTracker, smooth: bool = False, det_every: int = 1
    ) -> None:
        self._make, self._smooth, self._det_every = make, smooth, det_every
        self._video: str | None = None
        self._tracker: Any = None
        self._smoother = PoseSmoother()
        # Frames since the last detection, with it; None before the first one.
        self._detected: int | None = None

    def predict_boxes(self, frame: Frame) -> InstanceData | None:
        """Predict the boxes of the next frame, unless a detection is due.

        Args:
            frame (Frame): The frame, with an image.

        Returns:
            InstanceData: ``bboxes`` and ``bbox_scores`` of the tracked people whose
            boxes are in the image; ``None`` if a detection is due.

        Raises:
            ValueError: See :meth:`Tracker.update`.
        """
        self._open(frame)
        if self._is_due or frame.image is None:
            return None
        people = self._tracker.predict_boxes(frame.time)
        low, high = people.bboxes[:, :2], people.bboxes[:, 2:]
        return people[((high > 0) & (low < frame.image.shape[1::-1])).all(axis=1)]

    def update(self, frame: Frame, people: InstanceData) -> None:
        """Add ``track_ids`` (N,) to the people of the next frame, and smooth them.

        Args:
            frame (Frame): The frame. One that was not read gets no ids.
            people (InstanceData): Its people, in the boxes of :meth:`predict_boxes` or
                of a detector.

        Raises:
            ValueError: See :meth:`Tracker.update`.
        """
        self._open(frame)
        if frame.image is None:
            people.track_ids = np.full(len(people), NOT_TRACKED)
            return
        if self._is_due:
            people.track_ids = self._tracker.update(people, frame.time, frame.image)
            self._detected = 0
        else:
            people.track_ids = self._tracker.update(people, frame.time, detected=False)
        self._detected = (self._detected or 0) + 1
        if self._smooth:
            people.keypoints = self._smoother.update(
                people, people.track_ids, frame.time
            )

    @property
    def _is_due(self) -> bool:
        """Whether the boxes of the next frame come from a detector."""
        return self._detected is None or self._detected >= self._det_every

    def _open(self, frame: Frame) -> None:
        """Start anew if a frame is the first one of another video."""
        if frame.sequence != self._video:
            self._video, self._tracker = frame.sequence, self._make()
            self._smoother, self._detected = PoseSmoother(), None
