# SPDX-License-Identifier: Apache-2.0
"""Results in the text format of MOTChallenge."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from mmpose.structures import PoseDataSample

from rmpe_plugin.inference import Frame
from rmpe_plugin.tracking import NOT_TRACKED
from rmpe_plugin.utils.files import atomic_write

from .result_writer import ResultWriter


class MotWriter(ResultWriter):
    """Writes one text file for each video, as MOTChallenge's tools read it.

    The files are ``VIDEO.txt``, or ``FOLDER.txt`` for the images of a folder. A line is
    frame, id, left, top, width, height, score, -1, -1, -1, in pixels of the image, for
    each person with an id. Frames of a video count from 1. That of an image is the
    number in its name, or if it has none or a smaller one than the image before, the
    number that follows.

    Args:
        folder (Path): Output folder. Created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stack = ExitStack()
        self._sequence: str | None = None
        self._names: set[str] = set()
        self._frames = 0

    def write(self, frame: Frame, poses: PoseDataSample) -> None:
        """Write the lines of a frame.

        Args:
            frame (Frame): The frame.
            poses (PoseDataSample): Its poses, with ``track_ids``.

        Raises:
            OSError: If the file cannot be written, or another video has its name.
        """
        number = self._number(frame)
        people = poses.pred_instances
        people = people[people.track_ids != NOT_TRACKED]
        rows = np.column_stack(
            (
                people.bboxes[:, :2],
                people.bboxes[:, 2:] - people.bboxes[:, :2],
                people.bbox_scores,
            )
        )
        for track_id, row in zip(people.track_ids, rows, strict=True):
            values = ','.join(f'{value:.6g}' for value in row)
            self._file.write(f'{number},{track_id},{values},-1,-1,-1\n')

    def skip(self, frame: Frame) -> None:
        """Count an image that cannot be read."""
        if not frame.video:
            self._number(frame)

    def _open(self, frame: Frame) -> None:
        """Start the file of another video."""
        self.close()
        path = Path(frame.sequence)
        name = path.stem if frame.video else path.resolve().name
        if name in self._names:
            raise OSError(f'{name}.txt is the file of another video')
        self._names.add(name)
        file = atomic_write(self.folder / f'{name}.txt')
        self._file = self._stack.enter_context(file)
        self._sequence, self._frames = frame.sequence, 0

    def _number(self, frame: Frame) -> int:
        """Number of a frame."""
        if frame.sequence != self._sequence:
            self._open(frame)
        if frame.video:
            return int(str(frame.image_id).rpartition('/')[2]) + 1
        named = frame.image_id if isinstance(frame.image_id, int) else 0
        # Two images of a video never have the same number.
        self._frames = max(self._frames + 1, named)
        return self._frames

    def close(self) -> None:
        """Finish the file of the last video."""
        self._stack.close()
