# SPDX-License-Identifier: Apache-2.0
"""Person boxes that are given instead of detected."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.structures import InstanceData
from numpy.typing import ArrayLike

from rmpe_plugin.inference import Frames, FrameSource, MovingSource, WebImageSource
from rmpe_plugin.ops import valid_boxes
from rmpe_plugin.structures import (
    boxes_from_records,
    group_by_image,
    match_frames,
    match_images,
    read_person_boxes,
)

BoxesById = Mapping[int | str, ArrayLike]
Boxes = str | Path | BoxesById | Sequence[ArrayLike]


def boxes_by_image(boxes: Boxes, frames: Frames) -> dict[int | str, InstanceData]:
    """Convert given boxes to instances, grouped by image.

    Args:
        boxes (Boxes): Path of a JSON file, see
            :func:`~rmpe_plugin.structures.read_person_boxes`, whose records belong to
            images by file name, or by id if they have none; or, by image id or in the
            order of the images, arrays (N, 5) of xyxy boxes and scores in pixels, or
            (N, 4), whose scores are 1.
        frames (Frames): The images.

    Returns:
        dict[int | str, InstanceData]: ``bboxes`` (N, 4), xyxy, and ``bbox_scores``
        (N,) by image id.

    Raises:
        ValueError: If a box is not finite or has no area, if the number of arrays is
            not the number of images, if no box has the category person, or if no box
            belongs to any image; see also
            :func:`~rmpe_plugin.structures.match_images` and
            :func:`~rmpe_plugin.structures.match_frames`.
    """
    if isinstance(boxes, (str, Path)):
        records = _match(Path(boxes), frames)
        people = {i: boxes_from_records(found) for i, found in records.items()}
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


def _match(path: Path, frames: Frames) -> dict[int | str, list[dict]]:
    """Read the boxes of a file by image id."""
    records = read_person_boxes(path)
    videos = [s for s in frames.sources if isinstance(s, MovingSource)]
    if len(frames.sources) == len(videos) == 1 and videos[0].path:
        return match_frames(path, records, _ids_of(videos[0]))
    # Ids of frames of several videos contain the name of the video.
    by_id = group_by_image(records)
    stems = {video.stem for video in videos}
    matched = {i: by_id[i] for i in by_id if str(i).rpartition('/')[0] in stems}
    files = {
        source.image_id: _name_of(source)
        for source in frames.sources
        if source.image_id is not None
    }
    if videos and not files:
        return by_id
    others = [record for record in records if record['image_id'] not in matched]
    return {**matched, **match_images(path, others, files)}


def _name_of(source: FrameSource) -> str:
    """Path or address of an image; ``''`` for an image in memory."""
    return source.name if isinstance(source, WebImageSource) else str(source.path or '')


def _in_order(boxes: Sequence[ArrayLike], frames: Frames) -> BoxesById:
    """Assign arrays to images by their order."""
    ids = [image_id for source in frames.sources for image_id in _ids_of(source)]
    if len(boxes) != len(ids):
        raise ValueError(f'got boxes of {len(boxes)} images, expected {len(ids)}')
    return dict(zip(ids, boxes, strict=True))


def _ids_of(source: FrameSource) -> list[int | str]:
    """Image ids of all frames of a source. A video is decoded to count them."""
    if source.image_id is not None:
        return [source.image_id]
    if source.path is None or not isinstance(source, MovingSource):
        raise ValueError('the frames of a camera or stream have no boxes in order')
    return [source.id_of(index) for index in range(len(source.timeline().times))]


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
