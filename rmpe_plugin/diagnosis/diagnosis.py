# SPDX-License-Identifier: Apache-2.0
"""Error types of a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.ops import (
    ErrorThresholds,
    PoseErrorTypes,
    align_poses,
    crowd_index,
    distance_to_atoms,
    pose_error_types,
)
from rmpe_plugin.ops.evaluation.error_types import (
    KEYPOINT_TYPES,
    MATCHED,
    PAPER_THRESHOLDS,
    PERSON_TYPES,
)
from rmpe_plugin.structures import area_of

from .groups import keypoint_groups, size_of
from .poses import DiagnosedPoses, ImagePoses

TORSO = (('left_shoulder', 'right_shoulder'), ('left_hip', 'right_hip'))
# An error of a person: missed, or an OKS below COCO's lowest threshold.
FAILED_OKS = 0.5
# Share of the people with the rarest poses.
RARE_SHARE = 0.1
# Crowd index above which CrowdPose calls a person hard.
OVERLAP = 0.8


@dataclass
class PeopleTable:
    """All evaluated people, one row each.

    Attributes:
        image (np.ndarray): Index of the image (N,).
        index (np.ndarray): Index of the person in the image (N,).
        keypoint_type (np.ndarray): Types of the matched prediction's keypoints (N, K),
            -1 where there is none.
        oks (np.ndarray): OKS of the matched prediction (N,), 0 without.
        visibility (np.ndarray): COCO's visibility flags (N, K).
        crowding (np.ndarray): Crowd index (N,).
        size (np.ndarray): ``'small'``, ``'medium'`` or ``'large'`` (N,).
        missed (np.ndarray): Whether no prediction is matched (N,).
        aligned (np.ndarray): Aligned poses (N, K, 2), see
            :func:`rmpe_plugin.ops.align_poses`; NaN if the torso is unknown.
    """

    image: np.ndarray
    index: np.ndarray
    keypoint_type: np.ndarray
    oks: np.ndarray
    visibility: np.ndarray
    crowding: np.ndarray
    size: np.ndarray
    missed: np.ndarray
    aligned: np.ndarray


class Diagnosis:
    """Error types of predictions.

    Args:
        poses (DiagnosedPoses): Annotations and predictions.
        thresholds (ErrorThresholds): Thresholds of the types. Defaults to the paper's.
        confusable (np.ndarray, optional): See
            :func:`rmpe_plugin.ops.pose_error_types`. Defaults to ``None``.
        track (Callable): Wraps the images, to show progress. Defaults to ``iter``.

    Attributes:
        images (list[ImagePoses]): The images.
        types (list[PoseErrorTypes]): The types of each image.
    """

    def __init__(
        self,
        poses: DiagnosedPoses,
        thresholds: ErrorThresholds = PAPER_THRESHOLDS,
        confusable: np.ndarray | None = None,
        track: Callable[[Iterable[ImagePoses]], Iterable[ImagePoses]] = iter,
    ) -> None:
        self.poses, self.thresholds = poses, thresholds
        self.images: list[ImagePoses] = []
        self.types: list[PoseErrorTypes] = []
        for image in track(poses):
            self.images.append(image)
            self.types.append(
                pose_error_types(
                    image.keypoints, image.scores, image.gt, image.variances,
                    image.ignored, thresholds, confusable,
                )
            )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """Names of the joints."""
        names = self.poses.meta['keypoint_id2name']
        return [names[k] for k in range(len(names))]

    @property
    def person_types(self) -> np.ndarray:
        """Types of all predictions (N,), see :data:`PERSON_TYPES`."""
        return np.concatenate([types.person_type for types in self.types])

    @property
    def scores(self) -> np.ndarray:
        """Scores of all predictions (N,)."""
        return np.concatenate([image.scores for image in self.images])

    @cached_property
    def people(self) -> PeopleTable:
        """The people as one table."""
        rows = []
        for i, (image, types) in enumerate(zip(self.images, self.types, strict=True)):
            if image.people:
                rows.append(_people_of_image(i, image, types, self.names))
        columns = {
            name: np.concatenate([row[name] for row in rows]) for name in rows[0]
        }
        labelled = columns['visibility'] > 0
        columns['crowding'] = crowd_index(
            np.nan_to_num(columns.pop('gt')),
            labelled,
            bbox_xywh2xyxy(columns.pop('bbox')),
            columns['image'],
        )
        return PeopleTable(**columns)

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Masks (N, K) of the labelled keypoints in each group of people."""
        people = self.people
        groups = keypoint_groups(people.visibility, people.crowding, self.names)
        for size in ('small', 'medium', 'large'):
            groups[f'{size} area'] = groups['all'] & (people.size == size)[:, None]
        return {name: mask for name, mask in groups.items() if mask.any()}

    def keypoint_counts(self) -> dict[str, np.ndarray]:
        """Count the keypoint types.

        Returns:
            dict[str, np.ndarray]: For each group the number of labelled keypoints of
            each type, then of those of missed people, (6,).
        """
        types = np.where(self.people.missed[:, None], len(KEYPOINT_TYPES),
                         self.people.keypoint_type)  # fmt: skip
        return {
            name: np.bincount(types[mask], minlength=len(KEYPOINT_TYPES) + 1)
            for name, mask in self.groups.items()
        }

    def person_counts(self) -> dict[str, int]:
        """Count the types of predictions, missed people and wrong orders.

        Returns:
            dict[str, int]: Number by type; ``'ignored'`` predictions belong to crowds.
        """
        numbers = np.bincount(self.person_types, minlength=len(PERSON_TYPES)).tolist()
        counts = dict(zip(PERSON_TYPES, numbers, strict=True))
        counts['missed'] = int(self.people.missed.sum())
        counts['wrong order'] = int(sum(t.wrong_order.sum() for t in self.types))
        return counts

    def kinds(self, atoms: np.ndarray | None) -> dict[str, tuple[int, int]]:
        """Derive the four kinds of failures of RMPE (section 4.6).

        A person has failed if it is missed or its OKS is below 0.5.

        - rare pose: the tenth of the people whose aligned pose is farthest from the
          nearest atomic pose;
        - overlap: people with a crowd index above 0.8;
        - missed: people without a matched prediction;
        - look-alike: background predictions whose score is at least the median score
          of the matched ones.

        Args:
            atoms (np.ndarray, optional): Atomic poses (A, K, 2). ``None`` without rare
                poses.

        Returns:
            dict[str, tuple[int, int]]: Number of people (or predictions) of each kind,
            and how many of them have failed.
        """
        people = self.people
        failed = people.missed | (people.oks < FAILED_OKS)
        masks = {}
        if atoms is not None:
            masks['rare pose'] = self.rare(atoms)
        masks['overlap'] = people.crowding > OVERLAP
        kinds = {
            name: (int(mask.sum()), int((mask & failed).sum()))
            for name, mask in masks.items()
        }
        missed, look_alikes = int(people.missed.sum()), self._look_alikes()
        kinds['missed'] = missed, missed
        kinds['look-alike'] = look_alikes, look_alikes
        kinds['all people'] = len(failed), int(failed.sum())
        return kinds

    def rare(self, atoms: np.ndarray) -> np.ndarray:
        """Select the people with the rarest poses.

        Args:
            atoms (np.ndarray): Atomic poses (A, K, 2).

        Returns:
            np.ndarray: Mask (N,).
        """
        distance = distance_to_atoms(self.people.aligned, atoms)
        known = np.isfinite(distance)
        if not known.any():
            return known
        return known & (distance > np.quantile(distance[known], 1 - RARE_SHARE))

    def _look_alikes(self) -> int:
        """Number of background predictions with a high score."""
        types, scores = self.person_types, self.scores
        matched = types == MATCHED
        if not matched.any():
            return 0
        background = types == PERSON_TYPES.index('background')
        return int((scores[background] >= np.median(scores[matched])).sum())


def _people_of_image(
    index: int, image: ImagePoses, types: PoseErrorTypes, names: list[str]
) -> dict:
    """Rows of the table of people for one image."""
    number, num_keypoints = image.gt.shape[:2]
    keypoint_type = np.full((number, num_keypoints), -1)
    oks = np.zeros(number)
    matched = types.person_type == MATCHED
    keypoint_type[types.person[matched]] = types.keypoint_type[matched]
    oks[types.person[matched]] = types.oks[matched]
    triples = np.array([person['keypoints'] for person in image.people], float)
    visibility = triples.reshape(number, num_keypoints, 3)[..., 2]
    return dict(
        image=np.full(number, index),
        index=np.arange(number),
        keypoint_type=keypoint_type,
        oks=oks,
        visibility=visibility,
        size=size_of(np.array([area_of(person) for person in image.people])),
        missed=types.missed,
        aligned=_align(image.gt, visibility, names),
        gt=image.gt,
        bbox=np.array([person['bbox'] for person in image.people], float),
    )


def _align(gt: np.ndarray, visibility: np.ndarray, names: list[str]) -> np.ndarray:
    """Align poses (G, K, 2); NaN if the joints of the torso are not known."""
    if not {name for part in TORSO for name in part} <= set(names):
        return np.full_like(gt, np.nan)
    torso = tuple(tuple(names.index(name) for name in part) for part in TORSO)
    return align_poses(np.nan_to_num(gt), visibility, torso)
