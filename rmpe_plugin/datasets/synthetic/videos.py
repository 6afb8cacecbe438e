# SPDX-License-Identifier: Apache-2.0
"""Write videos of one body each, in the folders of MMPose's Human3.6M, or of groups."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.fileio import dump
from rich.progress import track

from .coco import NOTICE, annotate_person, person_category
from .groups import GroupFrame, render_group
from .motion import Camera, MotionFrame, render_motion

ACTION, CAMERA = 'Motion', '1'
# Focal length relative to the height of the image.
FOCAL_LENGTH = 1.25
# MMPose's scale: 1.2 times the larger side of the box, in units of 200 pixels.
SCALE = 1.2 / 200
# Ids of the images of a group's video are from this times the video's id on.
_IDS_OF_VIDEO = 10**6


def write_videos(
    root: Path,
    splits: dict[str, int],
    num_frames: int,
    size: tuple[int, int] = (320, 240),
    fps: float = 25.0,
    seed: int = 0,
) -> list[Path]:
    """Render videos of one body each, and write their ground truth.

    The files are ``videos/S1_Motion.1.mp4``, and in ``annotation_body3d``
    ``h36m_SPLIT.npz`` and ``cameras.pkl``, which MMPose's ``Human36mDataset`` reads.
    Each video is a subject.

    Args:
        root (Path): Output folder.
        splits (dict[str, int]): Number of videos of each split.
        num_frames (int): Number of frames of a video.
        size (tuple[int, int]): Width and height, pixels. Defaults to (320, 240).
        fps (float): Frame rate in frames per second. Defaults to 25.
        seed (int): Seed. Defaults to 0.

    Returns:
        list[Path]: The videos.

    Raises:
        OSError: If a video cannot be written.
    """
    camera = Camera(size, FOCAL_LENGTH * size[1])
    folder = root / 'annotation_body3d'
    folder.mkdir(parents=True, exist_ok=True)
    videos, cameras, subject = [], {}, 0
    for split, number in splits.items():
        annotations = []
        for _ in track(range(number), f'rendering {split}'):
            subject += 1
            rng = np.random.default_rng([seed, subject])
            frames = list(render_motion(rng, camera, num_frames, fps))
            name = f'S{subject}_{ACTION}.{CAMERA}'
            videos.append(root / 'videos' / f'{name}.mp4')
            _write_video(videos[-1], frames, fps)
            annotations.append(_annotate(name, frames))
            cameras[f'S{subject}', CAMERA] = _camera_parameters(camera)
        arrays = {
            key: np.concatenate([a[key] for a in annotations]) for key in annotations[0]
        }
        np.savez(folder / f'h36m_{split}.npz', **arrays)
    dump(cameras, folder / 'cameras.pkl')
    return videos


def write_group_videos(
    root: Path,
    splits: dict[str, int],
    num_people: tuple[int, int],
    num_frames: int,
    size: tuple[int, int] = (320, 240),
    fps: float = 25.0,
    camera_motion: float = 0.1,
    seed: int = 0,
) -> list[Path]:
    """Render videos of groups, and write their ground truth.

    The files are ``videos/SPLIT_INDEX.mp4`` and
    ``annotations/person_keypoints_SPLIT.json``: COCO annotations with ``videos``, the
    ``video_id`` and ``frame_id`` (from 0) of images, and the ``track_id`` (from 1, of
    each video), ``visible`` (share of the visible pixels), ``full_bbox`` (xywh, with
    occluded parts) and ``head_box`` of people. People of whom less than a tenth is
    visible are not annotated.

    A video depends on the seed, the split and its index, not on the number of videos.

    Args:
        root (Path): Output folder.
        splits (dict[str, int]): Number of videos of each split.
        num_people (tuple[int, int]): Minimum and maximum number of people of a video,
            at least 1.
        num_frames (int): Number of frames of a video.
        size (tuple[int, int]): Width and height, pixels. Defaults to (320, 240).
        fps (float): Frame rate in frames per second. Defaults to 25.
        camera_motion (float): See :func:`render_group`. Defaults to 0.1.
        seed (int): Seed. Defaults to 0.

    Returns:
        list[Path]: The videos.

    Raises:
        OSError: If a video cannot be written.
        ValueError: If a number of people is below 1, or the minimum is above the
            maximum.
    """
    if not 1 <= num_people[0] <= num_people[1]:
        raise ValueError(
            'num_people must be a minimum of at least 1 and a maximum, got '
            f'{num_people[0]} and {num_people[1]}'
        )
    camera = Camera(size, FOCAL_LENGTH * size[1])
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    videos = []
    for split, number in splits.items():
        dataset = dict(
            info=dict(description=NOTICE, seed=seed),
            videos=[],
            images=[],
            annotations=[],
            categories=[person_category('coco')],
        )
        for index in track(range(number), f'rendering {split}'):
            rng = np.random.default_rng([seed, *split.encode(), index])
            people = int(rng.integers(num_people[0], num_people[1] + 1))
            frames = list(
                render_group(
                    rng, camera, people, num_frames, fps, camera_motion=camera_motion
                )
            )
            videos.append(root / 'videos' / f'{split}_{index + 1:03d}.mp4')
            _write_video(videos[-1], frames, fps)
            _add_video(dataset, videos[-1], frames, fps)
        dump(dataset, root / 'annotations' / f'person_keypoints_{split}.json')
    return videos


def _add_video(
    dataset: dict, path: Path, frames: Sequence[GroupFrame], fps: float
) -> None:
    """Add a video, its frames and its people to COCO annotations."""
    height, width = frames[0].image.shape[:2]
    size = dict(width=width, height=height)
    video_id = len(dataset['videos']) + 1
    dataset['videos'].append(
        dict(id=video_id, name=path.stem, file_name=path.name, fps=fps, **size)
    )
    images, annotations = dataset['images'], dataset['annotations']
    for frame_id, frame in enumerate(frames):
        name = f'{path.stem}_{frame_id:06d}.jpg'
        # No index of a frame is also the id of an image.
        image_id = _IDS_OF_VIDEO * video_id + frame_id
        ids = dict(id=image_id, video_id=video_id, frame_id=frame_id)
        images.append(dict(ids, file_name=name, **size))
        for index, person in frame.people.items():
            x1, y1, x2, y2 = np.round(person.full_bbox, 2).tolist()
            record = annotate_person(len(annotations) + 1, image_id, person, 'coco')
            record['track_id'] = index + 1
            record['visible'] = round(person.visible, 4)
            record['full_bbox'] = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(record)


def _write_video(
    path: Path, frames: Sequence[MotionFrame | GroupFrame], fps: float
) -> None:
    """Encode images as MPEG-4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].image.shape[:2]
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(path), codec, fps, (width, height))
    if not writer.isOpened():
        raise OSError(f'could not write {path}')
    for frame in frames:
        writer.write(frame.image)
    writer.release()


def _annotate(name: str, frames: Sequence[MotionFrame]) -> dict[str, np.ndarray]:
    """Arrays of MMPose's annotation file."""
    visible = np.ones((len(frames), 17, 1))
    pixels = np.stack([frame.joint_pixels for frame in frames])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    joints = np.stack([frame.joints for frame in frames])
    return dict(
        imgname=np.array([f'{name}_{i:06d}.jpg' for i in range(1, len(frames) + 1)]),
        center=(low + high) / 2,
        scale=SCALE * (high - low).max(axis=1),
        part=np.concatenate((pixels, visible), axis=2),
        S=np.concatenate((joints, visible), axis=2),
    )


def _camera_parameters(camera: Camera) -> dict:
    """Parameters in MMPose's format. World and camera axes are the same."""
    width, height = camera.size
    return dict(
        R=np.eye(3),
        T=np.zeros((3, 1)),
        c=np.array([[width / 2], [height / 2]]),
        f=np.full((2, 1), camera.focal_length),
        k=np.zeros((3, 1)),
        p=np.zeros((2, 1)),
        w=width,
        h=height,
        name=CAMERA,
        id=0,
    )
