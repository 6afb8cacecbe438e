# SPDX-License-Identifier: Apache-2.0
"""The interface of trackers."""

from typing import Protocol

import numpy as np
from mmengine.structures import InstanceData

#: The id of a person who belongs to no track.
NOT_TRACKED = -1


class Tracker(Protocol):
    """Interface of the trackers: the people of one frame after another in, ids out.

    A tracker is for one video.
    """

    def update(
        self,
        poses: InstanceData,
        timestamp: float | None = None,
        image: np.ndarray | None = None,
    ) -> np.ndarray:
        """Give the people of the next frame their ids.

        Args:
            poses (InstanceData): ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K),
                ``bboxes`` (N, 4), xyxy, in pixels, and ``bbox_scores`` (N,).
            timestamp (float, optional): When the frame is shown, seconds. Defaults to
                ``None``: one frame after the last one, at the tracker's frame rate.
            image (np.ndarray, optional): The frame, BGR (H, W, 3), uint8, for trackers
                that see it. Defaults to ``None``.

        Returns:
            np.ndarray: Ids (N,), from 1 on; -1 for people who are not tracked.

        Raises:
            ValueError: If the time is not later than that of the last frame, or is not
                finite.
        """
        ...
