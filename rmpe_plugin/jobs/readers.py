# SPDX-License-Identifier: Apache-2.0
"""Read the output of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rmpe_plugin.deploy.requirements import require
from rmpe_plugin.inference import image_id_of, pose_instances
from rmpe_plugin.structures import poses_to_records

from .output import list_parts, read_part

if TYPE_CHECKING:
    import pyarrow as pa


def read_poses(folder: str | Path, columns: list[str] | None = None) -> pa.Table:
    """Read the output of a job into memory.

    Args:
        folder (str | Path): The folder, or its address.
        columns (list[str], optional): Columns that are read. Defaults to ``None``: all,
            see :func:`.schema.schema`.

    Returns:
        pa.Table: One row a person, and one row without a person for each other frame.

    Raises:
        FileNotFoundError: If the folder has no parts.
        OSError: If a part cannot be read.
        ValueError: If a part is damaged.

    Example:
        >>> table = read_poses('poses/', ['path', 'score'])  # doctest: +SKIP
        >>> table.to_pandas().groupby('path').score.count()  # doctest: +SKIP
    """
    import pyarrow as pa

    return pa.concat_tables(read_part(name, columns) for name in _parts(folder))


def to_coco(
    folder: str | Path, image_ids: Mapping[str, int | str] | None = None
) -> Iterator[dict]:
    """Convert the output of a job to COCO results, part by part.

    Args:
        folder (str | Path): The folder, or its address.
        image_ids (Mapping[str, int | str], optional): COCO's image ids of the paths, of
            images only. Defaults to ``None``: those of ``rmpe predict``, from the names
            of the files.

    Yields:
        dict: COCO result of a person.

    Raises:
        FileNotFoundError: If the folder has no parts.
        OSError: If a part cannot be read.
        ValueError: If a part is damaged, or two inputs have the same image id.

    Example:
        >>> json.dump([*to_coco('poses/')], open('r.json', 'w'))  # doctest: +SKIP
    """
    paths: dict[int | str, str] = {}
    for name in _parts(folder):
        for row in read_part(name).to_pylist():
            if row['person'] is None:
                continue
            path = row['path']
            is_video = row['time'] is not None
            if is_video:
                key: int | str = Path(path).stem
            else:
                key = _image_id(path) if image_ids is None else image_ids[path]
            if paths.setdefault(key, path) != path:
                raise ValueError(
                    f'{paths[key]} and {path} have the same image id {key}: give '
                    'image_ids'
                )
            poses = np.array(row['keypoints'], np.float32)[None]
            people = pose_instances(poses[..., :2], poses[..., 2])
            people.bboxes = np.array([row['bbox']], np.float32)
            people.scores = np.array([row['score']], np.float32)
            frame_id = f'{key}/{row["frame"]}' if is_video else key
            yield from poses_to_records(frame_id, people)


def _image_id(path: str) -> int | str:
    """Image id of a path."""
    return image_id_of(Path(path))


def _parts(folder: str | Path) -> list[str]:
    """The parts in a folder."""
    require('pyarrow', extra='scale')
    parts = list_parts(str(folder))
    if not parts:
        raise FileNotFoundError(f'{folder} has no parts of a pose job')
    return parts
