# SPDX-License-Identifier: Apache-2.0
"""Columns of the output, and their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.tracking import NOT_TRACKED

if TYPE_CHECKING:
    import pyarrow as pa

#: Version of the columns, which changes with their meaning.
VERSION = 1
#: Key of the job's description in the metadata of each part.
KEY = b'rmpe_plugin'


class FrameRows(NamedTuple):
    """The rows of a frame: one for each person, or a single one without a person.

    Attributes:
        path (str): Path of the input.
        frame (int): Index of the frame, 0 for an image.
        time (float, optional): Seconds from the start of the video.
        error (str, optional): Why there are no poses.
        people (InstanceData): As :class:`rmpe_plugin.apis.PoseResult` has them.
    """

    path: str
    frame: int
    time: float | None
    error: str | None
    people: InstanceData


def schema(description: bytes = b'') -> pa.Schema:
    """Columns of the output.

    Args:
        description (bytes): The job's description, JSON. Defaults to ``b''``.

    Returns:
        pa.Schema: ``path``, ``frame``, ``time`` in seconds, ``person``, ``track_id``,
        ``bbox`` (4,), xyxy in pixels, ``keypoints`` (K, 3), x, y and score, ``score``
        and ``error``.
    """
    import pyarrow as pa

    columns = dict(
        path=pa.string(),
        frame=pa.int32(),
        time=pa.float64(),
        person=pa.int32(),
        track_id=pa.int64(),
        bbox=pa.list_(pa.float32()),
        keypoints=pa.list_(pa.list_(pa.float32())),
        score=pa.float32(),
        error=pa.string(),
    )
    return pa.schema(list(columns.items()), metadata={KEY: description})


def to_table(frames: list[FrameRows], columns: pa.Schema) -> pa.Table:
    """Convert the rows of frames.

    Args:
        frames (list[FrameRows]): At least one frame.
        columns (pa.Schema): See :func:`schema`.

    Returns:
        pa.Table: The rows, in order.
    """
    import pyarrow as pa

    numbers = np.array([len(frame.people) for frame in frames])
    rows = np.maximum(numbers, 1)
    is_person = np.repeat(numbers > 0, rows)
    starts = np.repeat(np.cumsum(rows) - rows, rows)
    people = [frame.people for frame in frames if len(frame.people)]

    def per_frame(name: str) -> pa.Array:
        values = np.array([getattr(frame, name) for frame in frames], object)
        return pa.array(np.repeat(values, rows), columns.field(name).type)

    scores = np.zeros(len(is_person), np.float32)
    if people:
        scores[is_person] = np.concatenate([p.scores for p in people])
    return pa.table(
        [
            *map(per_frame, ('path', 'frame', 'time')),
            pa.array(np.arange(len(starts)) - starts, pa.int32(), mask=~is_person),
            _track_ids(frames),
            _nested(is_person, [p.bboxes for p in people]),
            _nested(
                is_person,
                [np.dstack((p.keypoints, p.keypoint_scores)) for p in people],
            ),
            pa.array(scores, mask=~is_person),
            per_frame('error'),
        ],
        schema=columns,
    )


def _track_ids(frames: list[FrameRows]) -> pa.Array:
    """Ids of people in videos; null for images and for people who are not tracked."""
    import pyarrow as pa

    def ids(frame: FrameRows) -> np.ndarray:
        is_tracked = frame.time is not None and 'track_ids' in frame.people
        if is_tracked and len(frame.people):
            return frame.people.track_ids
        return np.full(max(1, len(frame.people)), NOT_TRACKED)

    joined = np.concatenate([ids(frame) for frame in frames])
    return pa.array(joined, pa.int64(), mask=joined == NOT_TRACKED)


def _nested(is_present: np.ndarray, values: list[np.ndarray]) -> pa.Array:
    """Nested lists of arrays (N, ...), null in the other rows."""
    import pyarrow as pa

    if not values:
        return pa.nulls(len(is_present))
    array = np.concatenate(values).astype(np.float32)
    nested = pa.array(array.ravel())
    for size in array.shape[:1:-1]:
        nested = pa.ListArray.from_arrays(_ends(len(nested) // size, size), nested)
    ends = np.concatenate([[0], np.cumsum(is_present)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        ends * array.shape[1], nested, mask=pa.array(~is_present)
    )


def _ends(number: int, size: int) -> np.ndarray:
    """Offsets of lists of one size."""
    return np.arange(0, number * size + 1, size, dtype=np.int32)
