# SPDX-License-Identifier: Apache-2.0
"""The frames of videos: a video file, or the images of an annotation file."""

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from rmpe_plugin.inference import MovingSource, open_source
from rmpe_plugin.structures import read_images, require_keys

# Human3.6M's images in MMPose: S1_Directions_1.54138969_000001.jpg
_FRAME = re.compile(r'(?P<video>.+)_(?P<number>\d+)$')
_H36M = re.compile(r'(?P<subject>S\d+)_(?P<action>.+)\.(?P<camera>\w+)$')


@dataclass(frozen=True)
class Clip:
    """The frames of one video.

    Args:
        name (str): Name of the video.
        image_ids (tuple[int | str, ...]): ``image_id`` of each frame in results.
        rows (tuple[int, ...]): Place of each frame among the frames of all clips.
        size (tuple[int, int]): Width and height, pixels.
        fps (float): Frame rate in frames per second, the mean if it is variable; 0 if
            it is unknown. Defaults to 0.
        times (tuple[float, ...], optional): When each frame is shown, in seconds.
            Defaults to ``None``: unknown.
        is_variable (bool): Whether the frame rate is variable. Defaults to ``False``.
        h36m (tuple[str, str, str], optional): Subject, action and camera of a video of
            Human3.6M. Defaults to ``None``.
        file_names (tuple[str, ...]): Name of each image of annotations. Defaults to
            ``()``, for a video file.
    """

    name: str
    image_ids: tuple[int | str, ...]
    rows: tuple[int, ...]
    size: tuple[int, int]
    fps: float = 0.0
    times: tuple[float, ...] | None = None
    is_variable: bool = False
    h36m: tuple[str, str, str] | None = None
    file_names: tuple[str, ...] = ()


def video_clip(path: Path, prefix_ids: bool = False) -> Clip:
    """Describe the frames of a video file, which is decoded for that.

    What cannot be decoded is logged.

    Args:
        path (Path): Video file.
        prefix_ids (bool): Whether the ids in results are ``'stem/index'``, as for
            several inputs of ``rmpe predict``, instead of the index of the frame.
            Defaults to ``False``.

    Returns:
        Clip: The frames.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a video, or no frame can be decoded.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    source = open_source(path, prefix_ids=prefix_ids)
    if not isinstance(source, MovingSource):
        raise ValueError(f'{path} is an image, a video is needed')
    timeline = source.timeline()
    for error in timeline.errors:
        print_log(f'{path}: {error}', logger='current', level=logging.WARNING)
    return Clip(
        path.stem,
        tuple(map(source.id_of, range(len(timeline.times)))),
        tuple(range(len(timeline.times))),
        timeline.size,
        timeline.fps,
        tuple(timeline.times.tolist()),
        timeline.is_variable,
    )


def annotated_clips(
    paths: Sequence[Path], result_ids: Collection[int | str]
) -> list[Clip]:
    """Group the images of COCO annotations to videos by their names.

    The name of an image is that of the video, ``_`` and the number of the frame,
    starting with 1, or with 0 if there is an image 0 of the video. The frames are in
    the order of the annotations. Results belong to images by ``id``, by file name, or
    by video and frame, ``'VIDEO/index'``.

    Args:
        paths (Sequence[Path]): Files of COCO annotations.
        result_ids (Collection[int | str]): ``image_id`` of the results.

    Returns:
        list[Clip]: The videos.

    Raises:
        ValueError: If the annotations are invalid, an image has another name, no
            result belongs to any image, or the images of a video differ in size.
    """
    images = [image for path in paths for image in _read_images(path)]
    where = ' and '.join(map(str, paths))
    names = [_video_and_index(where, image['file_name']) for image in images]
    from_0 = {video for video, index in names if index < 0}
    names = [(video, index + (video in from_0)) for video, index in names]
    ids = _matching_ids(where, images, names, set(result_ids))
    rows_of: dict[str, list[int]] = {}
    for row, (video, _) in enumerate(names):
        rows_of.setdefault(video, []).append(row)
    clips = []
    for name, rows in rows_of.items():
        sizes = {(images[row]['width'], images[row]['height']) for row in rows}
        if len(sizes) > 1:
            raise ValueError(f'{where}: images of {name} differ in size: {[*sizes]}')
        clips.append(
            Clip(
                name,
                tuple(ids[row] for row in rows),
                tuple(rows),
                sizes.pop(),
                h36m=parse_h36m_name(name),
                file_names=tuple(images[row]['file_name'] for row in rows),
            )
        )
    return clips


def parse_h36m_name(name: str) -> tuple[str, str, str] | None:
    """Parse the name of a video of Human3.6M, such as S1_Directions_1.54138969.

    Args:
        name (str): Name of the video.

    Returns:
        tuple[str, str, str] | None: Subject, action and camera; ``None`` for other
        names.
    """
    match = _H36M.fullmatch(name)
    return match and match.group('subject', 'action', 'camera')


def _read_images(path: Path) -> list[dict]:
    """Read the images of annotations."""
    images = read_images(path)['images']
    require_keys(path, 'image', images, {'id', 'file_name', 'width', 'height'})
    if not images:
        raise ValueError(f'{path} has no images')
    return images


def _video_and_index(where: str, file_name: str) -> tuple[str, int]:
    """Name of the video and index of the frame of an image, counted from 1."""
    match = _FRAME.fullmatch(Path(file_name).stem)
    if match is None:
        raise ValueError(
            f'{where}: the name of an image must be VIDEO_NUMBER, got {file_name!r}'
        )
    return match['video'], int(match['number']) - 1


def _matching_ids(
    where: str,
    images: list[dict],
    names: list[tuple[str, int]],
    result_ids: set[int | str],
) -> list[int | str]:
    """Ids of the images as the results name them."""
    numbers = [image['id'] for image in images]
    # Indices of the frames of one video are not image ids; with several files of
    # annotations, image ids are not unique.
    numbered = {i for i in result_ids if isinstance(i, int)} <= set(numbers)
    is_unique = len(set(numbers)) == len(numbers)
    candidates: list[list[int | str]] = [
        numbers if numbered and is_unique else [],
        [Path(image['file_name']).name for image in images],
        [f'{video}/{index}' for video, index in names],
    ]
    best = max(candidates, key=lambda ids: len(result_ids.intersection(ids)))
    if not result_ids.intersection(best):
        raise ValueError(
            f'no result belongs to any image of {where}: image ids of the results are '
            f'{sorted(result_ids, key=str)[:3]}, those of the images {numbers[:3]}, '
            f'their names {candidates[1][:1]}'
        )
    return best
