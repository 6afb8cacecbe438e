# SPDX-License-Identifier: Apache-2.0
"""The poses of one person in each video, from COCO results."""

import logging
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from rmpe_plugin.structures import (
    boxes_from_records,
    iterate_results,
    match_frames,
    match_images,
    poses_from_records,
    read_person_boxes,
)

from .clips import Clip, annotated_clips, video_clip
from .people import CHOICES, choose_person
from .people_file import PeopleFile
from .pose_sequence import PoseSequence

NUM_KEYPOINTS = 17
IMAGE_KEYS = {'image_id', 'file_name'}


def read_video_poses(
    results: Path,
    video: Path | None = None,
    annotations: Sequence[Path] = (),
    person: str = 'only',
    keypoints: str = 'coco',
) -> list[tuple[Clip, PoseSequence]]:
    """Read the poses of one person in each video.

    The results are read one by one, and the people of all frames are kept in a
    temporary file, so that a video can be long and show many people.

    Args:
        results (Path): COCO results with 17 keypoints.
        video (Path, optional): The video of the results. Defaults to ``None``.
        annotations (Sequence[Path]): COCO annotations of the results, see
            :func:`annotated_clips`. Defaults to ``()``. Not used with ``video``.
        person (str): How the person is chosen, see :func:`choose_person`; a number, the
            person's ``track_id`` in each video; or the path of a JSON file with one box
            per frame. Defaults to ``'only'``.
        keypoints (str): Layout of the results. Defaults to ``'coco'``.

    Returns:
        list[tuple[Clip, PoseSequence]]: Each video and its poses.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is invalid, the results have another number of keypoints,
            a result or box belongs to a frame beyond the end of the video, a frame has
            several boxes, or no result or box belongs to any frame; if no person has
            the id; see also :func:`choose_person`.
    """
    track_id = int(person) if person.isdecimal() else None
    with closing(PeopleFile()) as people:
        images = _read_people(results, people, track_id)
        clips = _clips(video, annotations, set(people.image_ids))
        if video is None:
            _log_unused(results, people.image_ids, clips)
            found = {image_id: [image] for image_id, image in images.items()}
        else:
            found = match_frames(results, [*images.values()], clips[0].image_ids)
        if track_id is not None:
            person = 'only'
        boxes = None if person in CHOICES else _read_boxes(Path(person), clips)
        videos = []
        for clip in clips:
            ids = ([i['image_id'] for i in found.get(f, ())] for f in clip.image_ids)
            frames = map(people.read, ids)
            choice = person if boxes is None else _boxes_of_clip(person, boxes, clip)
            name = clip.name if track_id is None else f'{clip.name} (id {track_id})'
            videos.append((clip, choose_person(frames, choice, keypoints, name)))
    return videos


def _read_people(
    results: Path, people: PeopleFile, track_id: int | None
) -> dict[int | str, dict]:
    """Copy results to a file; id, and file name if there is one, of each image.

    With ``track_id``, only the results of this person are copied.
    """
    images: dict[int | str, dict] = {}
    ids: set[int] = set()
    records = iterate_results(results, {'image_id', 'keypoints', 'bbox', 'score'})
    for image_id, group in groupby(records, itemgetter('image_id')):
        frame = list(group)
        numbers = {len(record['keypoints']) // 3 for record in frame}
        if numbers != {NUM_KEYPOINTS}:
            raise ValueError(
                f'{results}: results must have {NUM_KEYPOINTS} keypoints, got '
                f'{sorted(numbers)} in image {image_id}'
            )
        images[image_id] = {k: frame[0][k] for k in IMAGE_KEYS & frame[0].keys()}
        if track_id is not None:
            ids.update(record['track_id'] for record in frame if 'track_id' in record)
            frame = [record for record in frame if record.get('track_id') == track_id]
        people.add(image_id, poses_from_records(frame, NUM_KEYPOINTS))
    if track_id is not None and track_id not in ids:
        known = f'ids are {sorted(ids)[:10]}' if ids else 'rmpe predict --track adds it'
        raise ValueError(f'{results}: no person has the track_id {track_id}; {known}')
    return images


def _clips(
    video: Path | None, annotations: Sequence[Path], ids: set[int | str]
) -> list[Clip]:
    """Describe the videos; ``ids`` are those of the results."""
    if video is None:
        return annotated_clips(annotations, ids)
    prefix_ids = any(str(i).rpartition('/')[0] == video.stem for i in ids)
    return [video_clip(video, prefix_ids)]


def _log_unused(
    path: Path, image_ids: Sequence[int | str], clips: Sequence[Clip]
) -> None:
    """Log how many results belong to no image of the annotations."""
    unused = set(image_ids) - {i for clip in clips for i in clip.image_ids}
    if unused:
        print_log(
            f'{path}: results of {len(unused)} of {len(image_ids)} images belong to '
            f'no image of the annotations, such as {min(unused, key=str)}',
            logger='current',
            level=logging.WARNING,
        )


def _read_boxes(path: Path, clips: Sequence[Clip]) -> dict[int | str, list[dict]]:
    """Read boxes by image."""
    records = read_person_boxes(path)
    if not clips[0].file_names:
        return match_frames(path, records, clips[0].image_ids)
    files = {
        image_id: name
        for clip in clips
        for image_id, name in zip(clip.image_ids, clip.file_names, strict=True)
    }
    return match_images(path, records, files)


def _boxes_of_clip(path: str, records: dict, clip: Clip) -> np.ndarray:
    """Boxes of the person in each frame (F, 4), NaN where there is none."""
    boxes = np.full((len(clip.image_ids), 4), np.nan)
    for row, image_id in enumerate(clip.image_ids):
        found = records.get(image_id, [])
        if len(found) > 1:
            raise ValueError(
                f'{path}: one box per frame is needed, image {image_id} has '
                f'{len(found)}'
            )
        if found:
            boxes[row] = boxes_from_records(found).bboxes[0]
    return boxes
