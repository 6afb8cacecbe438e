# SPDX-License-Identifier: Apache-2.0
"""The pose-guided proposals generator: how a detector errs, given the pose.

An offset is a detection's edges (x1, y1, x2, y2) minus the true box's, divided by the
true box's width (x1, x2) and height (y1, y2). RMPE, section 3.3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .atomic_poses import COCO_TORSO, align_poses, find_atoms, nearest_atom
from .gaussian_mixture import GaussianMixture

_FORMAT = 'rmpe_plugin proposal model'
_VERSION = 1
# A proposal's sides are at least such a share of the true box's.
_MIN_SIDE = 0.1


def box_offsets(bboxes: np.ndarray, detections: np.ndarray) -> np.ndarray:
    """Offsets of detections from the true boxes.

    Args:
        bboxes (np.ndarray): True boxes (..., 4), xyxy, pixels.
        detections (np.ndarray): Detections (..., 4), xyxy, pixels.

    Returns:
        np.ndarray: Offsets (..., 4), shares of the true box's sides.

    Raises:
        ValueError: If a true box is empty, inverted or not finite.
    """
    return (detections - bboxes) / _sides(bboxes)


def _sides(bboxes: np.ndarray) -> np.ndarray:
    """Width, height, width, height of boxes, (..., 4)."""
    size = bboxes[..., 2:] - bboxes[..., :2]
    good = np.isfinite(bboxes).all(axis=-1) & (size > 0).all(axis=-1)
    if not good.all():
        raise ValueError(
            'boxes must be finite and have x1 < x2 and y1 < y2, got '
            f'{bboxes[~good].tolist()}'
        )
    return np.concatenate((size, size), axis=-1)


@dataclass(frozen=True, eq=False)
class ProposalModel:
    """Distribution of a detector's offsets, given the pose.

    A person belongs to the atomic pose that is nearest; each has its own mixture of
    Gaussians.

    Args:
        overall (GaussianMixture): The offsets of everybody, for people whose pose
            cannot be aligned.
        atoms (np.ndarray, optional): Atomic poses (A, K, 2), see
            :mod:`rmpe_plugin.ops.atomic_poses`. Defaults to ``None``: the pose does
            not matter.
        mixtures (Sequence[GaussianMixture | None]): The offsets at each atomic pose;
            ``None`` where ``overall`` serves. Defaults to none.
        people (Sequence[int]): How many people each was fitted to. Defaults to none.
        torso (tuple): Indices of the shoulders and of the hips among the K keypoints.
            Defaults to COCO's.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> model = ProposalModel.alphapose()
        >>> pose, seen = np.zeros((17, 2)), np.zeros(17)
        >>> box, rng = np.array([10.0, 10.0, 50.0, 90.0]), np.random.default_rng(0)
        >>> model.sample(pose, seen, box, 3, rng).round()
        array([[10.,  7., 53., 97.],
               [14.,  7., 44., 86.],
               [10., -2., 49., 83.]])
    """

    overall: GaussianMixture
    atoms: np.ndarray | None = None
    mixtures: Sequence[GaussianMixture | None] = ()
    people: Sequence[int] = ()
    torso: tuple[tuple[int, ...], tuple[int, ...]] = COCO_TORSO

    def __post_init__(self) -> None:
        for mixture in (self.overall, *filter(None, self.mixtures)):
            if mixture.means.shape[1] != 4:
                raise ValueError(
                    f'a mixture must be of 4 edges, got {mixture.means.shape[1]}'
                )
        if self.atoms is None:
            return
        atoms = np.asarray(self.atoms, dtype=np.float64)
        object.__setattr__(self, 'atoms', atoms)
        if atoms.ndim != 3 or atoms.shape[2] != 2 or not np.isfinite(atoms).all():
            raise ValueError(f'atoms must be finite and (A, K, 2), got {atoms.shape}')
        if not len(atoms) == len(self.mixtures) == len(self.people):
            raise ValueError(
                'each atomic pose needs a mixture and a number of people, got '
                f'{len(atoms)}, {len(self.mixtures)} and {len(self.people)}'
            )
        if not all(0 <= i < atoms.shape[1] for part in self.torso for i in part):
            raise ValueError(
                f'torso {self.torso} is not among {atoms.shape[1]} keypoints'
            )

    def assign(
        self, keypoints: np.ndarray, keypoints_visible: np.ndarray
    ) -> np.ndarray:
        """Find the atomic poses that people belong to.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Above 0 where one is known (..., K).

        Returns:
            np.ndarray: Indices into ``atoms`` (...), -1 where the pose cannot be
            aligned or the model has no atoms.

        Raises:
            ValueError: If the model was fitted to another number of keypoints.
        """
        if self.atoms is None:
            return np.full(np.shape(keypoints)[:-2], -1)
        if np.shape(keypoints)[-2] != self.atoms.shape[1]:
            raise ValueError(
                f'the proposal model was fitted to {self.atoms.shape[1]} keypoints, '
                f'got {np.shape(keypoints)[-2]}'
            )
        aligned = align_poses(keypoints, keypoints_visible, self.torso)
        return nearest_atom(aligned, self.atoms)

    def mixture(self, atom: int) -> GaussianMixture:
        """The offsets at an atomic pose.

        Args:
            atom (int): Index, or -1 for everybody.

        Returns:
            GaussianMixture: Its mixture.
        """
        return self.overall if atom < 0 else self.mixtures[atom] or self.overall

    def sample(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray,
        bbox: np.ndarray,
        n: int,
        rng,
        image_size: Sequence[int] | np.ndarray | None = None,
        crop_prob: float = 0.0,
    ) -> np.ndarray:
        """Draw boxes as the detector would give them.

        A box's sides are at least a tenth of the true box's: one that comes out
        smaller, or inverted, is widened around its middle.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Above 0 where one is known (..., K).
            bbox (np.ndarray): True boxes (..., 4), xyxy, pixels.
            n (int): How many boxes a person.
            rng: A numpy ``Generator`` or ``RandomState``, or ``np.random`` itself.
            image_size (Sequence[int] | np.ndarray, optional): Width and height that
                the boxes are clipped to (2,), or each person's (..., 2), pixels.
                Defaults to ``None``: they may leave the image.
            crop_prob (float): Share of boxes that are no detections but windows of
                the true box: of its shape, ``1 - crop_prob`` to 1 of its size,
                anywhere in it. AlphaPose has 0.15, the authors' code 0.3. Defaults
                to 0.

        Returns:
            np.ndarray: Boxes (..., n, 4), xyxy, pixels.

        Raises:
            ValueError: If a true box is empty, inverted or not finite, or a keypoint
                that is visible is not finite.
        """
        bbox = np.asarray(bbox, dtype=np.float64)
        sides = _sides(bbox)[..., None, :]
        atoms = self.assign(keypoints, keypoints_visible)
        offsets = np.empty((*atoms.shape, n, 4))
        for atom in np.unique(atoms):
            members = atoms == atom
            shape = (int(members.sum()), n)
            offsets[members] = self.mixture(atom).sample(shape, rng)
        if crop_prob:
            windows, chosen = _windows(offsets.shape[:-1], crop_prob, rng)
            offsets = np.where(chosen[..., None], windows, offsets)
        return _bounded(bbox[..., None, :] + offsets * sides, sides, image_size)

    def log_prob(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray,
        bbox: np.ndarray,
        detections: np.ndarray,
    ) -> np.ndarray:
        """Log density of the offsets of detections.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Above 0 where one is known (..., K).
            bbox (np.ndarray): True boxes (..., 4), xyxy, pixels.
            detections (np.ndarray): Boxes (..., n, 4), xyxy, pixels.

        Returns:
            np.ndarray: Log density (..., n), of shares of the true box's sides.

        Raises:
            ValueError: As for :meth:`sample`.
        """
        atoms = self.assign(keypoints, keypoints_visible)
        offsets = box_offsets(np.asarray(bbox)[..., None, :], np.asarray(detections))
        log_prob = np.empty(offsets.shape[:-1])
        for atom in np.unique(atoms):
            members = atoms == atom
            log_prob[members] = self.mixture(atom).log_prob(offsets[members])
        return log_prob

    @classmethod
    def alphapose(cls) -> ProposalModel:
        """AlphaPose's constants, which do not ask for the pose.

        One Gaussian an edge, of alphapose/utils/transforms.py in
        github.com/MVIG-SJTU/AlphaPose, without the windows (``crop_prob``).

        Returns:
            ProposalModel: The model.
        """
        std = np.array([0.1158, 0.0680, 0.1337, 0.0711])
        mean = np.array([-0.0142, 0.0043, 0.0154, -0.0013])
        return cls(GaussianMixture(np.ones(1), mean[None], np.diag(std**2)[None]))

    @classmethod
    def fit(
        cls,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray,
        bboxes: np.ndarray,
        detections: np.ndarray,
        num_atoms: int = 16,
        max_components: int = 8,
        min_people: int = 400,
        torso: tuple[tuple[int, ...], tuple[int, ...]] = COCO_TORSO,
        seed: int = 0,
        track: Callable[[Sequence], Iterable] = iter,
    ) -> ProposalModel:
        """Learn how a detector errs.

        The paper gives neither the number of atomic poses nor that of Gaussians.

        Args:
            keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
            keypoints_visible (np.ndarray): Above 0 where one is known (N, K).
            bboxes (np.ndarray): True boxes (N, 4), xyxy, pixels.
            detections (np.ndarray): The detection of each (N, 4), xyxy, pixels.
            num_atoms (int): Most atomic poses; fewer if each could not have
                ``min_people``, and with 0 the pose does not matter. Defaults to 16.
            max_components (int): Most Gaussians in a mixture, whose number is chosen
                by the Bayesian information criterion. Defaults to 8.
            min_people (int): Atomic poses with fewer people use the mixture of
                everybody. Defaults to 400.
            torso (tuple): Indices of the shoulders and of the hips. Defaults to
                COCO's.
            seed (int): Seed of k-means and of the fits. Defaults to 0.
            track (Callable): Wraps the sequence of mixtures to fit, to show progress.
                Defaults to ``iter``.

        Returns:
            ProposalModel: The model.

        Raises:
            ImportError: If scikit-learn (the extra ``learn``) is not installed.
            ValueError: If there are less than 5 people, or one of them is broken.
        """
        offsets = box_offsets(bboxes, detections)
        aligned = align_poses(keypoints, keypoints_visible, torso)
        usable = ~np.isnan(aligned).all(axis=(1, 2))
        num_atoms = min(num_atoms, int(usable.sum()) // min_people)
        atoms, people, groups = None, [], {-1: offsets}
        if num_atoms:
            atoms = find_atoms(aligned[usable], num_atoms, seed)
            nearest = nearest_atom(aligned, atoms)
            people = np.bincount(nearest[usable], minlength=num_atoms).tolist()
            groups |= {
                atom: offsets[nearest == atom]
                for atom, number in enumerate(people)
                if number >= min_people
            }
        fitted = {
            atom: GaussianMixture.fit(group, max_components, seed)
            for atom, group in track(list(groups.items()))
        }
        mixtures = [fitted.get(atom) for atom in range(num_atoms)]
        return cls(fitted[-1], atoms, mixtures, people, torso)

    def to_json(self, path: str | Path) -> None:
        """Write the model to a file that people can read, with six decimals.

        Args:
            path (str | Path): File to write.
        """
        atoms = [] if self.atoms is None else self.atoms
        record = dict(
            format=_FORMAT,
            version=_VERSION,
            offsets="(x1, y1, x2, y2) of a detection minus the true box's, divided by "
            'its (width, height, width, height)',
            torso=self.torso,
            overall=self.overall.to_records(),
            atoms=[
                dict(
                    people=people,
                    pose=np.round(pose, 6).tolist(),
                    mixture=mixture and mixture.to_records(),
                )
                for people, pose, mixture in zip(
                    self.people, atoms, self.mixtures, strict=True
                )
            ],
        )
        text = json.dumps(record, indent=1)
        # a vector on one line
        text = re.sub(
            r'\[\s+([^][{}]*?)\s+\]', lambda m: f'[{" ".join(m[1].split())}]', text
        )
        Path(path).write_text(text + '\n')

    @classmethod
    def from_json(cls, path: str | Path) -> ProposalModel:
        """Read what :meth:`to_json` wrote.

        Args:
            path (str | Path): File to read.

        Returns:
            ProposalModel: The model.

        Raises:
            ValueError: If the file holds something else, is of another version or is
                damaged.
        """
        try:
            record = json.loads(Path(path).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f'{path} is not JSON: {error}') from error
        found = record.get('format') if isinstance(record, dict) else None
        if found != _FORMAT:
            raise ValueError(
                f'{path} holds no proposal model: its format must be {_FORMAT!r}, got '
                f'{found!r}'
            )
        if record.get('version') != _VERSION:
            raise ValueError(
                f'{path} is of version {record.get("version")!r}, this reads {_VERSION}'
            )
        try:
            atoms = record['atoms']
            shoulders, hips = record['torso']
            return cls(
                overall=GaussianMixture.from_records(record['overall']),
                atoms=np.array([atom['pose'] for atom in atoms]) if atoms else None,
                mixtures=[
                    mixture and GaussianMixture.from_records(mixture)
                    for mixture in (atom['mixture'] for atom in atoms)
                ],
                people=[int(atom['people']) for atom in atoms],
                torso=(tuple(map(int, shoulders)), tuple(map(int, hips))),
            )
        except KeyError as error:
            raise ValueError(f'{path} is damaged: it lacks {error}') from error
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path} is damaged: {error}') from error


def _windows(
    shape: tuple[int, ...], crop_prob: float, rng
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of windows inside a box (*shape, 4), and where they are taken."""
    scale = rng.uniform(size=shape)
    start = rng.uniform(size=(*shape, 2)) * (1 - scale)[..., None]
    windows = np.concatenate((start, start + scale[..., None] - 1), axis=-1)
    return windows, scale > 1 - crop_prob


def _bounded(
    boxes: np.ndarray, sides: np.ndarray, image_size: np.ndarray | None
) -> np.ndarray:
    """Widen boxes that are too small, and clip them to the image if there is one."""
    low, high = boxes[..., :2], boxes[..., 2:]
    least = _MIN_SIDE * sides[..., :2]
    middle = 0.5 * (low + high)
    half = 0.5 * np.maximum(high - low, least)
    low, high = middle - half, middle + half
    if image_size is not None:
        image_size = np.asarray(image_size)[..., None, :]
        least = np.minimum(least, image_size)
        high = np.clip(high, least, image_size)
        low = np.clip(low, 0, high - least)
    return np.concatenate((low, high), axis=-1)
