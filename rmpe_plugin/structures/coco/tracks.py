# SPDX-License-Identifier: Apache-2.0
"""Videos and ids of people in COCO annotations: PoseTrack18's and COCO-VID's."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from .files import read_annotations
from .records import group_by_image

# Names of PoseTrack18, and those of COCO-VID as MMDetection reads it.
VIDEO_KEYS = ('video_id', 'vid_id')
TRACK_KEYS = ('track_id', 'instance_id')


class AnnotatedVideo(NamedTuple):
    """The frames of a video, in order.

    Attributes:
        video_id (int | str): Id of the video.
        images (list[dict]): Records of the images.
        people (list[list[dict] | None]): Annotations of each image, with ``track_id``;
            ``None`` if the image is not labelled.
    """

    video_id: int | str
    images: list[dict]
    people: list[list[dict] | None]


def read_tracks(path: Path) -> tuple[dict, list[AnnotatedVideo]]:
    """Read annotations of people with ids in videos.

    An image has ``frame_id``, the order of the frames, and ``video_id`` (COCO-VID,
    ``rmpe synthesize videos``) or ``vid_id`` (PoseTrack18). PoseTrack18's images with
    ``is_labeled: false`` are not labelled. An annotation has ``track_id`` (PoseTrack18)
    or ``instance_id`` (COCO-VID), which is unique in an image.

    Args:
        path (Path): Annotation file.

    Returns:
        tuple[dict, list[AnnotatedVideo]]: Content of the file, see
        :func:`read_annotations`, and the videos in the order of the file.

    Raises:
        ValueError: If a record is invalid or lacks one of these ids, a video has two
            images with the same ``frame_id``, two people of an image have the same id,
            or no image is labelled.
    """
    dataset = read_annotations(path)
    people_of = group_by_image(
        dict(record, track_id=_require(path, 'annotation', record, TRACK_KEYS))
        for record in dataset['annotations']
    )
    images_of = defaultdict(list)
    for image in dataset['images']:
        video_id = _require(path, 'image', image, VIDEO_KEYS)
        _require(path, 'image', image, ('frame_id',))
        images_of[video_id].append(image)
    if not any(map(_is_labelled, dataset['images'])):
        raise ValueError(f'{path} has no labelled images')
    videos = []
    for video_id, images in images_of.items():
        images.sort(key=lambda image: image['frame_id'])
        numbers = [image['frame_id'] for image in images]
        _require_unique(path, f'images of video {video_id!r}', 'frame_id', numbers)
        for image in images:
            ids = [person['track_id'] for person in people_of[image['id']]]
            _require_unique(path, f'people of image {image["id"]}', 'track_id', ids)
        people = [people_of[i['id']] if _is_labelled(i) else None for i in images]
        videos.append(AnnotatedVideo(video_id, images, people))
    return dataset, videos


def _is_labelled(image: dict) -> bool:
    """Whether the people of an image are annotated."""
    return image.get('is_labeled', True)


def _require(path: Path, kind: str, record: dict, keys: tuple[str, ...]) -> int | str:
    """Value of the first of the keys that a record has."""
    for key in keys:
        value = record.get(key)
        if type(value) is int or (type(value) is str and keys == VIDEO_KEYS):
            return value
    expected = 'an id' if keys == VIDEO_KEYS else 'a whole number'
    raise ValueError(
        f'{path}: {kind} {record["id"]} must have {expected} as '
        f'{" or ".join(keys)}, got {[record.get(key) for key in keys]}'
    )


def _require_unique(path: Path, what: str, key: str, values: list[int]) -> None:
    """Raise if a value occurs twice."""
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        raise ValueError(f'{path}: two {what} have the {key} {min(twice)}')
