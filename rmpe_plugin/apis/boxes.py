# SPDX-License-Identifier: Apache-2.0
"""Boxes that are given in place of a detector's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.structures import boxes_from_records, group_by_image
from rmpe_plugin.utils.coco_files import read_results

from .frames import Frames

Boxes = str | Path | Mapping[int | str, np.ndarray] | Sequence[np.ndarray]


def boxes_by_image(boxes: Boxes, frames: Frames) -> dict[int | str, InstanceData]:
    """Sort the boxes that are given by picture.

    Args:
        boxes (Boxes): The path of a JSON of COCO results, or for each image id, or for
            each picture in order, an array (N, 5) of xyxy boxes and scores, or (N, 4),
            whose scores are 1.
        frames (Frames): The pictures.

    Returns:
        dict[int | str, InstanceData]: For each image id ``bboxes`` (N, 4), xyxy, and
        ``bbox_scores`` (N,).

    Raises:
        ValueError: If a box is not finite or has no area, or if none belongs to any
            picture.
    """
    if isinstance(boxes, (str, Path)):
        records = read_results(Path(boxes), {'image_id', 'bbox', 'score'})
        found = {i: boxes_from_records(r) for i, r in group_by_image(records).items()}
    else:
        if not isinstance(boxes, Mapping):
            boxes = _in_order(boxes, frames)
        found = {image_id: _from_array(array) for image_id, array in boxes.items()}
    for image_id, people in found.items():
        sides = people.bboxes[:, 2:] - people.bboxes[:, :2]
        bad = ~np.isfinite(people.bboxes).all(axis=1) | ~(sides > 0).all(axis=1)
        if bad.any():
            raise ValueError(
                f'image {image_id}: a box must be finite and have an area, got '
                f'{people.bboxes[bad][0].tolist()} (xyxy)'
            )
    if found and frames.ids and not found.keys() & set(frames.ids):
        raise ValueError(
            f'no box belongs to any picture: boxes are of {[*found][:3]}, pictures are '
            f'{frames.ids[:3]}'
        )
    return found


def nobody() -> InstanceData:
    """No boxes.

    Returns:
        InstanceData: ``bboxes`` (0, 4) and ``bbox_scores`` (0,).
    """
    return _from_array(np.zeros((0, 5)))


def _in_order(boxes: Sequence[np.ndarray], frames: Frames) -> dict:
    """Boxes of one picture after another, by image id."""
    if len(boxes) != frames.number:
        raise ValueError(
            f'got boxes for {len(boxes)} pictures, there are {frames.number}'
        )
    # frames of a video are numbered
    ids = frames.ids or range(len(boxes))
    return dict(zip(ids, boxes, strict=True))


def _from_array(array: np.ndarray) -> InstanceData:
    """Boxes (N, 4), or with scores (N, 5)."""
    array = np.asarray(array, np.float32)
    if array.size == 0:
        array = array.reshape(0, 5)
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise ValueError(
            'the boxes of a picture must be (N, 4), or (N, 5) with scores, got '
            f'{array.shape}'
        )
    scores = array[:, 4] if array.shape[1] == 5 else np.ones(len(array), np.float32)
    return InstanceData(bboxes=array[:, :4], bbox_scores=scores)
