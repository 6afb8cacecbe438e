# SPDX-License-Identifier: Apache-2.0
"""The people of all frames of long videos, in a file instead of in memory."""

import math
from collections.abc import Sequence
from itertools import chain
from tempfile import TemporaryFile

import numpy as np
from mmengine.structures import InstanceData

# Keypoints (17, 2), their scores (17,), a box (4,) and its score.
NUM_VALUES = 56


def flat_poses(people: InstanceData) -> np.ndarray:
    """Put each person into one row.

    Args:
        people (InstanceData): ``keypoints`` (N, 17, 2), ``keypoint_scores`` (N, 17),
            ``bboxes`` (N, 4), xyxy, and ``scores`` (N,).

    Returns:
        np.ndarray: Rows (N, 56), float32.
    """
    parts = people.keypoints, people.keypoint_scores, people.bboxes, people.scores
    rows = [np.reshape(x, (len(people), math.prod(x.shape[1:]))) for x in parts]
    return np.concatenate(rows, axis=1, dtype=np.float32)


def split_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split the rows of :func:`flat_poses`.

    Args:
        rows (np.ndarray): Rows (N, 56).

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Keypoints (N, 17, 2), their scores
        (N, 17), and boxes (N, 5), xyxy and score.
    """
    keypoints, scores, bboxes = np.split(rows, (34, 51), axis=1)
    return keypoints.reshape(-1, 17, 2), scores, bboxes


class PeopleFile:
    """Keeps people by frame in a temporary file, float32, until it is closed."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115, closed by close
        # Offset in the file and number of bytes of the parts of each frame.
        self._parts: dict[int | str, list[tuple[int, int]]] = {}

    @property
    def image_ids(self) -> list[int | str]:
        """The frames with people."""
        return list(self._parts)

    def add(self, image_id: int | str, people: InstanceData) -> None:
        """Add people to a frame.

        Args:
            image_id (int | str): The frame, in any order and repeatedly.
            people (InstanceData): The people, see :func:`flat_poses`.
        """
        data = flat_poses(people).tobytes()
        self._parts.setdefault(image_id, []).append((self._file.tell(), len(data)))
        self._file.write(data)

    def read(self, image_ids: Sequence[int | str]) -> InstanceData:
        """Read the people of a frame, after all have been added.

        Args:
            image_ids (Sequence[int | str]): Ids under which they were added.

        Returns:
            InstanceData: Its people, none if none was added.
        """
        rows = np.zeros((0, NUM_VALUES), np.float32)
        for offset, size in chain(*(self._parts.get(i, []) for i in image_ids)):
            self._file.seek(offset)
            part = np.frombuffer(self._file.read(size), np.float32)
            rows = np.concatenate((rows, part.reshape(-1, NUM_VALUES)))
        keypoints, scores, bboxes = split_rows(rows)
        return InstanceData(
            keypoints=keypoints,
            keypoint_scores=scores,
            bboxes=bboxes[:, :4],
            scores=bboxes[:, 4],
        )

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
