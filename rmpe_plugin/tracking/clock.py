# SPDX-License-Identifier: Apache-2.0
"""Times of the frames of a video, which must increase."""

import math


class Clock:
    """The time of the last frame.

    Args:
        frame_rate (float): Frames per second, for frames without a time.

    Raises:
        ValueError: If the frame rate is not positive and finite.

    Attributes:
        time (float, optional): Time of the last frame, seconds; ``None`` before the
            first one.
    """

    def __init__(self, frame_rate: float) -> None:
        if not 0 < frame_rate < math.inf:
            raise ValueError(
                f'frame_rate must be positive and finite, got {frame_rate!r}'
            )
        self._step = 1 / frame_rate
        self.time: float | None = None

    def elapsed(self, timestamp: float | None) -> float:
        """Compute the time since the last frame, without going on.

        Args:
            timestamp (float, optional): Time of the next frame, seconds; ``None``: one
                frame later.

        Returns:
            float: Seconds since the last frame; 0 for the first one.

        Raises:
            ValueError: If the time is not finite, or not later than the last one.
        """
        if timestamp is not None and not math.isfinite(timestamp):
            raise ValueError(f'timestamp must be finite, got {timestamp!r}')
        if self.time is None:
            return 0.0
        if timestamp is None:
            return self._step
        if not timestamp > self.time:
            raise ValueError(
                'frames must be in the order of their times: timestamp '
                f'{timestamp!r} is not later than that of the last frame, {self.time!r}'
            )
        return float(timestamp) - self.time

    def advance(self, timestamp: float | None) -> float:
        """Go on to the next frame; arguments, result and errors as :meth:`elapsed`."""
        dt = self.elapsed(timestamp)
        self.time = dt + (self.time or 0.0) if timestamp is None else float(timestamp)
        return dt
