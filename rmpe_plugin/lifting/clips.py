# SPDX-License-Identifier: Apache-2.0
"""The frames of videos: a video file, or the images of an annotation file."""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2

from rmpe_plugin.structures import read_annotations, require_keys

# Human3.6M's images in MMPose: S1_Directions_1.54138969_000001.jpg
_FRAME = re.compile(r'(?P<video>.+)_\d+$')
_H36M = re.compile(r'(?P<subject>S\d+)_(?P<action>.+)\.(?P<camera>\w+)$')


@dataclass(frozen=True)
class Clip:
    """The frames of one video.

    Args:
        name (str): Name of the video.
        image_ids (tuple[int | str, ...]): ``image_id`` of each frame in results.
        rows (tuple[int, ...]): Place of each frame among the frames of all clips.
        size (tuple[int, int]): Width and height, pixels.
        fps (float): Frame rate in frames per second; 0 if it is unknown.
    """

    name: str
    image_ids: tuple[int | str, ...]
    rows: tuple[int, ...]
    size: tuple[int, int]
    fps: float = 0.0

    @property
    def h36m(self) -> tuple[str, str, str] | None:
        """Subject, action and camera, if the name is one of Human3.6M."""
        match = _H36M.fullmatch(self.name)
        return None if match is None else match.group('subject', 'action', 'camera')


def video_clip(path: Path, prefix_ids: bool = False) -> Clip:
    """Describe the frames of a video file.

    Args:
        path (Path): Video file.
        prefix_ids (bool): Whether the ids in results are ``'stem/index'``, as for
            several inputs of ``tools/demo.py``, instead of the index of the frame.
            Defaults to ``False``.

    Returns:
        Clip: The frames.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a video or has no frames.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    capture = cv2.VideoCapture(str(path))
    number = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if not capture.isOpened() or number < 1:
        raise ValueError(f'{path} cannot be read as a video, or has no frames')
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    ids = tuple(f'{path.stem}/{i}' if prefix_ids else i for i in range(number))
    fps = capture.get(cv2.CAP_PROP_FPS)
    return Clip(path.stem, ids, tuple(range(number)), (width, height), fps)


def annotated_clips(path: Path) -> list[Clip]:
    """Group the images of COCO annotations to videos by their names.

    The name of an image is that of the video, ``_`` and the number of the frame. The
    frames are in the order of the annotations.

    Args:
        path (Path): COCO annotations.

    Returns:
        list[Clip]: The videos.

    Raises:
        ValueError: If the annotations are invalid, an image has another name, or the
            images of a video differ in size.
    """
    images = read_annotations(path)['images']
    require_keys(path, 'image', images, {'id', 'file_name', 'width', 'height'})
    if not images:
        raise ValueError(f'{path} has no images')
    videos: dict[str, list[tuple[int, dict]]] = {}
    for row, image in enumerate(images):
        match = _FRAME.fullmatch(Path(image['file_name']).stem)
        if match is None:
            raise ValueError(
                f'{path}: the name of an image must be VIDEO_NUMBER, got '
                f'{image["file_name"]!r}'
            )
        videos.setdefault(match['video'], []).append((row, image))
    return [_clip(path, name, frames) for name, frames in videos.items()]


def _clip(path: Path, name: str, frames: list[tuple[int, dict]]) -> Clip:
    """Describe the images of one video."""
    sizes = {(image['width'], image['height']) for _, image in frames}
    if len(sizes) > 1:
        raise ValueError(f'{path}: images of {name} differ in size: {sorted(sizes)}')
    ids = tuple(image['id'] for _, image in frames)
    return Clip(name, ids, tuple(row for row, _ in frames), sizes.pop())
