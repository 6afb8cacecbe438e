# SPDX-License-Identifier: Apache-2.0
"""The poses of one person among those of all people."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from torchvision.ops import box_iou

from .pose_sequence import PoseSequence

#: How the person of a frame is chosen: there must not be another one, or the one with
#: the highest score.
CHOICES = ('only', 'best')
# A box shows a person if their boxes overlap by at least this IoU.
MIN_IOU = 0.3


def choose_person(
    frames: Sequence[InstanceData],
    choice: str | np.ndarray,
    layout: str,
    name: str = 'the video',
) -> PoseSequence:
    """Choose one person per frame.

    Args:
        frames (Sequence[InstanceData]): People of each frame: ``keypoints`` (N, 17, 2),
            ``keypoint_scores`` (N, 17), ``bboxes`` (N, 4), xyxy, and ``scores`` (N,).
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
    if not len(frames):
        raise ValueError(f'{name} has no frames')
    if not any(map(len, frames)):
        raise ValueError(f'no person was detected in {len(frames)} frames of {name}')
    if isinstance(choice, str):
        indices = _by_name(frames, choice, name)
    else:
        indices = _by_box(frames, choice, name)
    number = len(frames)
    keypoints = np.full((number, *_first(frames).keypoints.shape[1:]), np.nan)
    scores, bboxes = np.full(keypoints.shape[:2], np.nan), np.full((number, 5), np.nan)
    for i, (people, index) in enumerate(zip(frames, indices, strict=True)):
        if index is not None:
            keypoints[i] = people.keypoints[index]
            scores[i] = people.keypoint_scores[index]
            bboxes[i] = [*people.bboxes[index], people.scores[index]]
    arrays = (a.astype(np.float32) for a in (keypoints, scores, bboxes))
    return PoseSequence(*arrays, layout)


def _first(frames: Sequence[InstanceData]) -> InstanceData:
    """The first frame with a person."""
    return next(people for people in frames if len(people))


def _by_name(
    frames: Sequence[InstanceData], choice: str, name: str
) -> list[int | None]:
    """Index of the person in each frame."""
    if choice not in CHOICES:
        raise ValueError(f'the choice must be one of {CHOICES}, got {choice!r}')
    several = [i for i, people in enumerate(frames) if len(people) > 1]
    if choice == 'only' and several:
        raise ValueError(
            f'{len(several)} frames of {name} show several people, the first is '
            f"{several[0]}: choose 'best', or the boxes of one person"
        )
    return [int(people.scores.argmax()) if len(people) else None for people in frames]


def _by_box(
    frames: Sequence[InstanceData], boxes: np.ndarray, name: str
) -> list[int | None]:
    """Index of the person in the box of each frame."""
    if boxes.shape != (len(frames), 4):
        raise ValueError(
            f'{name} has {len(frames)} frames: the boxes must be ({len(frames)}, 4), '
            f'got {boxes.shape}'
        )
    indices: list[int | None] = []
    for people, box in zip(frames, boxes, strict=True):
        if not len(people) or np.isnan(box).any():
            indices.append(None)
            continue
        overlap = box_iou(torch.as_tensor(people.bboxes), torch.as_tensor(box)[None])
        best = int(overlap.argmax())
        indices.append(best if overlap[best] >= MIN_IOU else None)
    if all(index is None for index in indices):
        raise ValueError(f'no box shows a person that was detected in {name}')
    return indices
