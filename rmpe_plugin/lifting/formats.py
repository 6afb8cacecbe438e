# SPDX-License-Identifier: Apache-2.0
"""Files that VideoPose3D and MMPose's lifters read."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from rmpe_plugin.utils.files import atomic_write

from .clips import Clip
from .pose_sequence import PoseSequence

# Left and right keypoints, for the flip augmentation of the lifters.
SYMMETRY = dict(
    coco=[[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
    h36m=[[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
)
# Actions of Human3.6M that VideoPose3D names differently, and what it discards.
RENAMED_ACTIONS = dict(TakingPhoto='Photo', WalkingDog='WalkDog')
DISCARDED = ('S11', 'Directions')
Videos = Sequence[tuple[Clip, PoseSequence]]


def choose_layout(form: str, keypoints: str, layout: str | None = None) -> str:
    """Choose the layout of the keypoints in a file.

    Args:
        form (str): One of :data:`FORMATS`.
        keypoints (str): Layout of the poses, ``'coco'`` or ``'h36m'``.
        layout (str, optional): The wanted layout. Defaults to ``None``: ``'h36m'`` for
            formats that have no other one, or that of the poses.

    Returns:
        str: ``'coco'`` or ``'h36m'``.

    Raises:
        ValueError: If the format is unknown or has another layout.
    """
    if form not in FORMATS:
        raise ValueError(f'the format must be one of {[*FORMATS]}, got {form!r}')
    if form not in H36M_ONLY:
        return layout or keypoints
    if layout not in (None, 'h36m'):
        raise ValueError(f"the format {form} has the layout 'h36m', got {layout!r}")
    return 'h36m'


def write_poses(
    path: Path,
    form: str,
    videos: Videos,
    layout: str | None = None,
    missing: str = 'nan',
) -> None:
    """Write the poses of videos for lifting to three dimensions.

    Args:
        path (Path): File to write, which must not exist.
        form (str): One of :data:`FORMATS`:

            - ``'videopose3d'``: data set of VideoPose3D, ``data_2d_*.npz``. Videos of
              Human3.6M are grouped by subject, action and camera; other videos are
              those of a custom data set.
            - ``'videopose3d-detections'``: detections of one video, the input of
              VideoPose3D's ``prepare_data_2d_custom.py``. Missing frames are empty.
            - ``'mhformer'`` and ``'motionagformer'``: ``keypoints.npz`` of one video,
              which their ``demo/vis.py`` read. The layout is ``'h36m'``.
            - ``'mmpose'``: ``keypoint_2d_det_file`` of MMPose's lifters, npy
              (N, 17, 3): x, y, score, in the order of the annotations.

            The npz files of video files also have ``times``, when each frame is shown,
            in seconds, which lifters ignore; of ``'videopose3d'`` by video.
        videos (Videos): The frames of each video and their poses.
        layout (str, optional): Layout of the keypoints in the file, ``'coco'`` or
            ``'h36m'``. Defaults to ``None``, see :func:`choose_layout`.
        missing (str): Frames without a pose: ``'nan'`` or ``'interpolate'``. Defaults
            to ``'nan'``.

    Raises:
        FileExistsError: If the file exists.
        ValueError: If a setting is unknown, the layouts do not fit, or the format is
            for one video and there are several.
    """
    if path.exists():
        raise FileExistsError(
            f'{path} exists already: remove it, or choose another file'
        )
    layout = choose_layout(form, videos[0][1].layout, layout)
    if missing not in MISSING:
        raise ValueError(f'missing must be one of {MISSING}, got {missing!r}')
    videos = [(clip, poses.converted(layout)) for clip, poses in videos]
    if missing == 'interpolate':
        videos = [(clip, poses.interpolated(clip.times)) for clip, poses in videos]
    suffix, write = FORMATS[form]
    if path.suffix != suffix:
        raise ValueError(f'a file in the format {form} ends in {suffix}, got {path}')
    write(path, videos, layout, missing)


def _write_dataset(path: Path, videos: Videos, layout: str, missing: str) -> None:
    """VideoPose3D's data set."""
    positions: dict[str, dict] = {
        clip.name: dict(custom=[poses.keypoints])
        for clip, poses in videos
        if clip.h36m is None
    }
    positions.update(_h36m_positions([video for video in videos if video[0].h36m]))
    metadata = dict(
        layout_name=layout,
        num_joints=17,
        keypoints_symmetry=SYMMETRY[layout],
        video_metadata={
            clip.name: dict(w=clip.size[0], h=clip.size[1], fps=clip.fps)
            for clip, _ in videos
        },
        missing_frames=missing,
    )
    times = {clip.name: np.array(clip.times) for clip, _ in videos if clip.times}
    _write_npz(
        path,
        positions_2d=np.array(positions),
        metadata=np.array(metadata),
        **(dict(times=np.array(times)) if times else {}),
    )


def _h36m_positions(videos: Videos) -> dict[str, dict[str, list[np.ndarray]]]:
    """Keypoints of Human3.6M by subject and action, a list of the cameras."""
    # VideoPose3D names two actions differently and discards a damaged recording.
    positions: dict[str, dict[str, list[np.ndarray]]] = {}
    cameras: dict[tuple[str, str], list[str]] = {}
    # Cameras are in the order of their names.
    for clip, poses in sorted(videos, key=lambda video: video[0].name):
        subject, action, camera = clip.h36m or ('', '', '')
        for name, other in RENAMED_ACTIONS.items():
            action = action.replace(name, other)
        action = action.replace('_', ' ')
        if (subject, action) != DISCARDED:
            positions.setdefault(subject, {}).setdefault(action, [])
            positions[subject][action].append(poses.keypoints)
            cameras.setdefault((subject, action), []).append(camera)
    expected = max(cameras.values(), key=len, default=[])
    for (subject, action), names in cameras.items():
        if names != expected:
            raise ValueError(
                f'{subject}, {action}: the cameras must be {expected}, as of other '
                f'videos, got {names}'
            )
    return positions


def _write_detections(path: Path, videos: Videos, layout: str, missing: str) -> None:
    """Detections of one video, as VideoPose3D's ``infer_video_d2.py`` writes them."""
    if len(videos) != 1:
        raise ValueError(
            f'the format is for the detections of one video, got {len(videos)}'
        )
    ((clip, poses),) = videos
    logits = np.zeros_like(poses.scores)
    rows = np.stack((*np.moveaxis(poses.keypoints, 2, 0), logits, poses.scores), axis=1)
    present = ~poses.missing
    _write_npz(
        path,
        boxes=_per_frame(poses.bboxes, present),
        segments=np.full(len(present), None),
        keypoints=_per_frame(rows, present),
        metadata=np.array(dict(w=clip.size[0], h=clip.size[1], fps=clip.fps)),
        **_times_of(clip),
    )


def _times_of(clip: Clip) -> dict[str, np.ndarray]:
    """When each frame is shown (F,), seconds, if it is known."""
    return {} if clip.times is None else dict(times=np.array(clip.times))


def _per_frame(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Pairs of nothing and the values of the frame's people, as Detectron's classes."""
    frames = np.empty((len(values), 2), dtype=object)
    for i, is_present in enumerate(present):
        frames[i, 0] = []
        frames[i, 1] = values[i : i + 1] if is_present else values[:0]
    return frames


def _write_demo(
    path: Path, videos: Videos, layout: str, missing: str, channels: int
) -> None:
    """Poses of one video, (1, F, 17, 2), or with scores (1, F, 17, 3)."""
    if len(videos) != 1:
        raise ValueError(f'the format is for the poses of one video, got {len(videos)}')
    ((clip, poses),) = videos
    values = np.concatenate((poses.keypoints, poses.scores[..., None]), axis=2)
    _write_npz(path, reconstruction=values[None, ..., :channels], **_times_of(clip))


def _write_mmpose(path: Path, videos: Videos, layout: str, missing: str) -> None:
    """Detections in the order of the annotations, for ``Human36mDataset``."""
    rows = np.concatenate([clip.rows for clip, _ in videos])
    poses = np.concatenate(
        [np.concatenate((p.keypoints, p.scores[..., None]), axis=2) for _, p in videos]
    )
    with atomic_write(path, 'wb') as file:
        np.save(file, poses[np.argsort(rows)].astype(np.float32))


def _write_npz(path: Path, **arrays: np.ndarray) -> None:
    with atomic_write(path, 'wb') as file:
        np.savez_compressed(file, **arrays)


Write = Callable[[Path, Videos, str, str], None]
FORMATS: dict[str, tuple[str, Write]] = {
    'videopose3d': ('.npz', _write_dataset),
    'videopose3d-detections': ('.npz', _write_detections),
    'mhformer': ('.npz', partial(_write_demo, channels=2)),
    'motionagformer': ('.npz', partial(_write_demo, channels=3)),
    'mmpose': ('.npy', _write_mmpose),
}
H36M_ONLY = ('mhformer', 'motionagformer')
MISSING = ('nan', 'interpolate')
