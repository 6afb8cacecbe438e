# SPDX-License-Identifier: Apache-2.0
"""Person boxes that are given instead of detected."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.structures import InstanceData
from numpy.typing import ArrayLike

from rmpe_plugin.ops import valid_boxes
from rmpe_plugin.structures import (
    boxes_from_records,
    group_by_image,
    read_person_boxes,
)

from .frames import Frames

BoxesById = Mapping[int | str, ArrayLike]
Boxes = str | Path | BoxesById | Sequence[ArrayLike]


def boxes_by_image(boxes: Boxes, frames: Frames) -> dict[int | str, InstanceData]:
    """Convert given boxes to instances, grouped by image.

    Args:
        boxes (Boxes): Path of a JSON file, see
            :func:`~rmpe_plugin.structures.read_person_boxes`; or, by image id or in the
            order of the images, arrays (N, 5) of xyxy boxes and scores in pixels, or
            (N, 4), whose scores are 1.
        frames (Frames): The images.

    Returns:
        dict[int | str, InstanceData]: ``bboxes`` (N, 4), xyxy, and ``bbox_scores``
        (N,) by image id.

    Raises:
        ValueError: If a box is not finite or has no area, if the number of arrays is
            not the number of images, if no box has the category person, or if no box
            belongs to any image.
    """
    if isinstance(boxes, (str, Path)):
        records = read_person_boxes(Path(boxes))
        people = {i: boxes_from_records(r) for i, r in group_by_image(records).items()}
    else:
        by_id = boxes if isinstance(boxes, Mapping) else _in_order(boxes, frames)
        people = {image_id: _from_array(array) for image_id, array in by_id.items()}
    for image_id, instances in people.items():
        invalid = ~valid_boxes(instances.bboxes)
        if invalid.any():
            raise ValueError(
                f'image {image_id}: a box must be finite and have a positive area, got '
                f'{instances.bboxes[invalid][0].tolist()} (xyxy)'
            )
    if people and frames.ids and not people.keys() & set(frames.ids):
        raise ValueError(
            f'no box belongs to any image: image ids of the boxes are {[*people][:3]}, '
            f'those of the images {frames.ids[:3]}'
        )
    return people


def empty_boxes() -> InstanceData:
    """Create instances without boxes.

    Returns:
        InstanceData: ``bboxes`` (0, 4) and ``bbox_scores`` (0,).
    """
    return _from_array(np.zeros((0, 5)))


def _in_order(boxes: Sequence[ArrayLike], frames: Frames) -> BoxesById:
    """Assign arrays to images by their order."""
    if len(boxes) != frames.number:
        raise ValueError(f'got boxes of {len(boxes)} images, expected {frames.number}')
    # The image ids of a video's frames are their indices.
    ids = frames.ids or range(len(boxes))
    return dict(zip(ids, boxes, strict=True))


def _from_array(boxes: ArrayLike) -> InstanceData:
    """Convert boxes (N, 4), or boxes with scores (N, 5)."""
    array = np.asarray(boxes, np.float32)
    if array.size == 0:
        array = array.reshape(0, 5)
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise ValueError(
            'the boxes of an image must have shape (N, 4), or (N, 5) with scores, got '
            f'{array.shape}'
        )
    scores = array[:, 4] if array.shape[1] == 5 else np.ones(len(array), np.float32)
    return InstanceData(bboxes=array[:, :4], bbox_scores=scores)
