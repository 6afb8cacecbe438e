# SPDX-License-Identifier: Apache-2.0
"""The poses of one person among those of all people."""

from collections.abc import Iterable

import numpy as np
import torch
from mmengine.structures import InstanceData
from torchvision.ops import box_iou

from .people_file import NUM_VALUES, flat_poses, split_rows
from .pose_sequence import PoseSequence

#: How the person of a frame is chosen: there must not be another one, or the one with
#: the highest score.
CHOICES = ('only', 'best')
# A box shows a person if their boxes overlap by at least this IoU.
MIN_IOU = 0.3


def choose_person(
    frames: Iterable[InstanceData],
    choice: str | np.ndarray,
    layout: str,
    name: str = 'the video',
) -> PoseSequence:
    """Choose one person per frame.

    Args:
        frames (Iterable[InstanceData]): People of each frame, which are not kept:
            ``keypoints`` (N, 17, 2), ``keypoint_scores`` (N, 17), ``bboxes`` (N, 4),
            xyxy, and ``scores`` (N,).
        choice (str | np.ndarray): One of :data:`CHOICES`, or the box of the person in
            each frame (F, 4), xyxy, NaN where it is not known. The person is then the
            one whose box has the highest IoU with it, of at least 0.3.
        layout (str): Layout of the keypoints, ``'coco'`` or ``'h36m'``.
        name (str): Name of the video for messages.

    Returns:
        PoseSequence: The poses; NaN in frames without this person.

    Raises:
        ValueError: If there are no frames or no person in any frame; if there are
            several people and ``choice`` is ``'only'``; or if the number of boxes is
            not the number of frames.
    """
    if isinstance(choice, str) and choice not in CHOICES:
        raise ValueError(f'the choice must be one of {CHOICES}, got {choice!r}')
    poses, numbers = [], []
    for i, people in enumerate(frames):
        index = _index_of(people, choice, i)
        # A copy, because a row would keep all people of the frame.
        poses.append(None if index is None else flat_poses(people)[index].copy())
        numbers.append(len(people))
    _check_numbers(numbers, choice, name)
    chosen = [pose is not None for pose in poses]
    if not any(chosen):
        raise ValueError(f'no box shows a person that was detected in {name}')
    rows = np.full((len(poses), NUM_VALUES), np.nan, np.float32)
    rows[chosen] = [pose for pose in poses if pose is not None]
    return PoseSequence(*split_rows(rows), layout)


def _index_of(people: InstanceData, choice: str | np.ndarray, frame: int) -> int | None:
    """Index of the person in a frame."""
    if not len(people):
        return None
    if isinstance(choice, str):
        return int(people.scores.argmax())
    # Another number of boxes is an error after the last frame.
    if frame >= len(choice) or np.isnan(choice[frame]).any():
        return None
    box = torch.as_tensor(choice[frame], dtype=torch.float64)[None]
    overlap = box_iou(torch.as_tensor(people.bboxes, dtype=torch.float64), box)
    best = int(overlap.argmax())
    return best if overlap[best] >= MIN_IOU else None


def _check_numbers(numbers: list[int], choice: str | np.ndarray, name: str) -> None:
    """Raise if the number of people in each frame (F,) contradicts the choice."""
    if not numbers:
        raise ValueError(f'{name} has no frames')
    if not any(numbers):
        raise ValueError(f'no person was detected in {len(numbers)} frames of {name}')
    several = [i for i, number in enumerate(numbers) if number > 1]
    if isinstance(choice, np.ndarray) and choice.shape != (len(numbers), 4):
        raise ValueError(
            f'{name} has {len(numbers)} frames: the boxes must be ({len(numbers)}, 4), '
            f'got {choice.shape}'
        )
    if isinstance(choice, str) and choice == 'only' and several:
        raise ValueError(
            f'{len(several)} frames of {name} show several people, the first is '
            f"{several[0]}: choose 'best', or the boxes of one person"
        )
