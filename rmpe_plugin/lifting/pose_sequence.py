# SPDX-License-Identifier: Apache-2.0
"""The pose of one person in each frame of a video."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .h36m_joints import coco_to_h36m

LAYOUTS = ('coco', 'h36m')


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """The pose of one person in each frame. NaN where the person was not detected.

    Args:
        keypoints (np.ndarray): Keypoints (F, 17, 2), pixels.
        scores (np.ndarray): Their scores (F, 17).
        bboxes (np.ndarray): Boxes (F, 5), xyxy and score, pixels.
        layout (str): ``'coco'`` or ``'h36m'``.

    Raises:
        ValueError: If the layout is unknown, or there are not 17 keypoints.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    bboxes: np.ndarray
    layout: str

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f'layout must be one of {LAYOUTS}, got {self.layout!r}')
        if self.keypoints.shape[1:] != (17, 2):
            raise ValueError(
                f'keypoints in the layout {self.layout} must be (F, 17, 2), got '
                f'{self.keypoints.shape}'
            )

    @property
    def missing(self) -> np.ndarray:
        """Whether each frame has no pose (F,)."""
        return np.isnan(self.keypoints).any(axis=(1, 2))

    def interpolated(self, times: Sequence[float] | None = None) -> 'PoseSequence':
        """Interpolate missing frames linearly between the frames around them.

        Frames before the first and after the last pose repeat it. Boxes and scores are
        interpolated too.

        Args:
            times (Sequence[float], optional): When each frame is shown (F,), seconds.
                Defaults to ``None``: at equal distances.

        Returns:
            PoseSequence: A sequence without missing frames.

        Raises:
            ValueError: If all frames are missing.
        """
        present = np.flatnonzero(~self.missing)
        if not len(present):
            raise ValueError('no frame has a pose to interpolate from')
        moments = np.arange(len(self.missing)) if times is None else np.asarray(times)
        position = np.interp(moments, moments[present], range(len(present)))
        before, after = np.floor(position).astype(int), np.ceil(position).astype(int)

        def fill(values: np.ndarray) -> np.ndarray:
            known = values[present]
            shape = (-1,) + (1,) * (values.ndim - 1)
            weight = (position - before).reshape(shape)
            filled = known[before] * (1 - weight) + known[after] * weight
            return filled.astype(values.dtype)

        return replace(
            self,
            keypoints=fill(self.keypoints),
            scores=fill(self.scores),
            bboxes=fill(self.bboxes),
        )

    def converted(self, layout: str) -> 'PoseSequence':
        """Convert the keypoints to another layout.

        Args:
            layout (str): ``'coco'`` or ``'h36m'``.

        Returns:
            PoseSequence: The sequence in this layout.

        Raises:
            ValueError: If joints of Human3.6M are converted to COCO, which has other
                keypoints.
        """
        if layout == self.layout:
            return self
        if layout != 'h36m':
            raise ValueError(
                f'poses in the layout {self.layout} cannot be converted to {layout!r}, '
                "only 'coco' to 'h36m'"
            )
        keypoints, scores = coco_to_h36m(self.keypoints, self.scores)
        return replace(self, keypoints=keypoints, scores=scores, layout=layout)
