# SPDX-License-Identifier: Apache-2.0
"""Smoothing of the keypoints of tracked people."""

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.ops import one_euro

from .clock import Clock
from .tracker import NOT_TRACKED


class PoseSmoother:
    """One-Euro filter for each keypoint and track.

    See :func:`rmpe_plugin.ops.one_euro`. The unit of the speed is the root of the
    area of the person's box. A person who was not in the frame before starts anew.

    Args:
        frame_rate (float): Frames per second, for frames without a time. Defaults to
            25.
        settings (float): ``min_cutoff``, ``beta`` and ``velocity_cutoff`` of the
            filter. Defaults to its own.
    """

    def __init__(self, frame_rate: float = 25.0, **settings: float) -> None:
        self._clock, self._settings = Clock(frame_rate), settings
        self._ids = np.zeros(0, int)
        # Filtered positions and velocities (N, K, 2) of the last frame.
        self._position = self._velocity = np.zeros((0, 1, 2))

    def update(
        self, poses: InstanceData, ids: np.ndarray, timestamp: float | None = None
    ) -> np.ndarray:
        """Smooth the keypoints of the next frame.

        Args:
            poses (InstanceData): ``keypoints`` (N, K, 2) and ``bboxes`` (N, 4), xyxy,
                in pixels.
            ids (np.ndarray): Ids (N,); people with -1 are not smoothed.
            timestamp (float, optional): See :meth:`Tracker.update`. Defaults to
                ``None``.

        Returns:
            np.ndarray: Keypoints (N, K, 2). A keypoint that is not finite is not
            changed.

        Raises:
            ValueError: See :meth:`Tracker.update`.
        """
        dt = self._clock.advance(timestamp)
        position = poses.keypoints.copy()
        velocity = np.zeros(position.shape)
        _, now, before = np.intersect1d(ids, self._ids, return_indices=True)
        if len(now):
            size = poses.bboxes[now, 2:] - poses.bboxes[now, :2]
            filtered = one_euro(
                position[now],
                self._position[before],
                self._velocity[before],
                dt,
                np.sqrt(size[:, 0] * size[:, 1]),
                **self._settings,
            )
            known = np.isfinite(filtered[0])
            position[now] = np.where(known, filtered[0], position[now])
            velocity[now] = np.where(known, filtered[1], 0.0)
        tracked = ids != NOT_TRACKED
        self._ids = ids[tracked]
        self._position, self._velocity = position[tracked], velocity[tracked]
        return position
