# SPDX-License-Identifier: Apache-2.0
"""Trackers of the package ``trackers``, which see boxes only."""

from typing import Any

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.ops import valid_boxes

from .clock import Clock
from .tracker import NOT_TRACKED

# Class in ``trackers`` of each name.
_CLASSES = dict(
    bytetrack='ByteTrackTracker', ocsort='OCSORTTracker', botsort='BoTSORTTracker'
)
BOX_TRACKERS = (*_CLASSES,)


class BoxTracker:
    """ByteTrack, OC-SORT or BoT-SORT of the package ``trackers``, the extra ``track``.

    They see boxes and their scores, and give a person an id after one or more frames.
    BoT-SORT also sees the images, from which it
    estimates the motion of the camera.

    Args:
        name (str): One of ``'bytetrack'``, ``'ocsort'`` and ``'botsort'``.
        frame_rate (float): Frames per second, for frames without a time. Defaults to
            25.
        options (Any): Arguments of the tracker in ``trackers``, such as
            ``lost_track_buffer``. Defaults to its own.

    Raises:
        ImportError: If ``trackers`` is not installed.
        ValueError: If the name is unknown, or the frame rate is not positive.

    Example:
        >>> options = dict(minimum_consecutive_frames=1)
        >>> tracker = BoxTracker('ocsort', **options)  # doctest: +SKIP
    """

    def __init__(self, name: str, *, frame_rate: float = 25.0, **options: Any) -> None:
        if name not in _CLASSES:
            raise ValueError(f'name must be one of {BOX_TRACKERS}, got {name!r}')
        self._clock = Clock(frame_rate)
        try:
            import supervision
            import trackers
        except ImportError as error:
            raise ImportError(
                f"the tracker {name!r} needs the package trackers, the extra 'track': "
                f"pip install 'rmpe_plugin[track]' ({error})"
            ) from error
        self._to_detections = supervision.Detections
        self._sees_image = name == 'botsort'
        kind = getattr(trackers, _CLASSES[name])
        self._tracker = kind(frame_rate=frame_rate, **options)

    def update(
        self,
        poses: InstanceData,
        timestamp: float | None = None,
        image: np.ndarray | None = None,
    ) -> np.ndarray:
        """Give the people of the next frame their ids, see :meth:`Tracker.update`.

        People without a valid box are not tracked.

        Raises:
            ValueError: If the time is not later than that of the last frame, or is not
                finite.
        """
        self._clock.advance(timestamp)
        rows = np.flatnonzero(valid_boxes(poses.bboxes))
        detections = self._to_detections(
            xyxy=poses.bboxes[rows],
            confidence=poses.bbox_scores[rows],
            data=dict(row=rows),
        )
        images = dict(frame=image) if self._sees_image else {}
        found = self._tracker.update(detections, timestamp=self._clock.time, **images)
        ids = np.full(len(poses.bboxes), NOT_TRACKED)
        if len(found):  # an empty result has no rows
            known = found.tracker_id >= 0
            ids[found.data['row'][known]] = found.tracker_id[known] + 1
        return ids
