# SPDX-License-Identifier: Apache-2.0
"""Pose-guided proposals generator (RMPE, section 3.3).

It models the offsets of a detector's boxes from the ground-truth boxes, given the pose.
Offsets are defined in :mod:`rmpe_plugin.ops.rmpe.proposal_boxes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .atomic_poses import COCO_TORSO, align_poses, find_atoms, nearest_atom
from .gaussian_mixture import GaussianMixture
from .proposal_boxes import box_offsets, boxes_from_offsets, crop_offsets
from .proposal_files import read_proposal_file, write_proposal_file


@dataclass(frozen=True, eq=False)
class ProposalModel:
    """Distribution of a detector's offsets given the pose.

    Each person is assigned to the nearest atomic pose. Each atomic pose has its own
    Gaussian mixture of offsets.

    Args:
        overall (GaussianMixture): Offsets of all people. It is used for poses that
            cannot be aligned and for atomic poses without a mixture.
        atoms (np.ndarray, optional): Atomic poses (A, K, 2), see :mod:`.atomic_poses`.
            Defaults to ``None``: the offsets do not depend on the pose.
        mixtures (Sequence[GaussianMixture | None]): Offsets of each atomic pose;
            ``None`` for ``overall``. Defaults to an empty sequence.
        people (Sequence[int]): Number of people of each atomic pose in the fit.
            Defaults to an empty sequence.
        torso (tuple): Indices of the shoulders and of the hips among the K keypoints.
            Defaults to COCO's.

    Raises:
        ValueError: If the shapes or lengths do not match.

    Example:
        >>> model = ProposalModel.alphapose()
        >>> pose, visible = np.zeros((17, 2)), np.zeros(17)
        >>> box, rng = np.array([10.0, 10.0, 50.0, 90.0]), np.random.default_rng(0)
        >>> model.sample(pose, visible, box, 3, rng).round()
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
                    'mixtures must have 4 dimensions, one for each edge of a box, got '
                    f'{mixture.means.shape[1]}'
                )
        if self.atoms is None:
            return
        atoms = np.asarray(self.atoms, dtype=np.float64)
        object.__setattr__(self, 'atoms', atoms)
        if atoms.ndim != 3 or atoms.shape[2] != 2 or not np.isfinite(atoms).all():
            raise ValueError(
                f'atoms must be finite and have the shape (A, K, 2), got {atoms.shape}'
            )
        if not len(atoms) == len(self.mixtures) == len(self.people):
            raise ValueError(
                'atoms, mixtures and people must have the same length, got '
                f'{len(atoms)}, {len(self.mixtures)} and {len(self.people)}'
            )
        if not all(0 <= i < atoms.shape[1] for part in self.torso for i in part):
            raise ValueError(
                f'torso must contain indices below {atoms.shape[1]}, the number of '
                f'keypoints, got {self.torso}'
            )

    def assign(
        self, keypoints: np.ndarray, keypoints_visible: np.ndarray
    ) -> np.ndarray:
        """Assign each person to the nearest atomic pose.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Visibility (..., K); above 0 if labelled.

        Returns:
            np.ndarray: Indices into ``atoms`` (...); -1 if the pose cannot be aligned
            or the model has no atomic poses.

        Raises:
            ValueError: If K is not that of the atomic poses, or a labelled keypoint is
                not finite.
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
        """Return the offsets of an atomic pose.

        Args:
            atom (int): Index of the atomic pose, or -1 for ``overall``.

        Returns:
            GaussianMixture: The mixture of the atomic pose, or ``overall`` if it has
            none.
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
        """Sample proposals.

        Sides shorter than a tenth of the ground-truth box's are lengthened around their
        centre, so that no proposal is empty or inverted.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Visibility (..., K); above 0 if labelled.
            bbox (np.ndarray): Ground-truth boxes (..., 4), xyxy, pixels.
            n (int): Number of proposals per person.
            rng: A numpy ``Generator`` or ``RandomState``, or the module ``np.random``.
            image_size (Sequence[int] | np.ndarray, optional): Width and height of the
                image (2,) or of each person's image (..., 2), pixels, to which
                proposals are clipped. Defaults to ``None``: no clipping.
            crop_prob (float): Probability that a proposal is replaced by a crop of the
                ground-truth box with its aspect ratio, ``1 - crop_prob`` to 1 of its
                size, and a uniform position in it. AlphaPose uses 0.15, the authors'
                code 0.3. Defaults to 0.

        Returns:
            np.ndarray: Proposals (..., n, 4), xyxy, pixels.

        Raises:
            ValueError: If a ground-truth box is empty, inverted or not finite, or a
                labelled keypoint is not finite.
        """
        atoms = self.assign(keypoints, keypoints_visible)
        offsets = np.empty((*atoms.shape, n, 4))
        for atom in np.unique(atoms):
            members = atoms == atom
            shape = (int(members.sum()), n)
            offsets[members] = self.mixture(atom).sample(shape, rng)
        if crop_prob:
            crops, replace = crop_offsets(offsets.shape[:-1], crop_prob, rng)
            offsets = np.where(replace[..., None], crops, offsets)
        bbox = np.asarray(bbox, dtype=np.float64)[..., None, :]  # (..., 1, 4)
        if image_size is not None:
            image_size = np.asarray(image_size)[..., None, :]  # (..., 1, 2)
        return boxes_from_offsets(bbox, offsets, image_size)

    def log_prob(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray,
        bbox: np.ndarray,
        detections: np.ndarray,
    ) -> np.ndarray:
        """Compute the log density of detections' offsets.

        Args:
            keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
            keypoints_visible (np.ndarray): Visibility (..., K); above 0 if labelled.
            bbox (np.ndarray): Ground-truth boxes (..., 4), xyxy, pixels.
            detections (np.ndarray): Detections (..., n, 4), xyxy, pixels.

        Returns:
            np.ndarray: Log density of the offsets (..., n).

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
        """Build a model from AlphaPose's constants, which do not depend on the pose.

        Each edge has one Gaussian, from alphapose/utils/transforms.py in
        github.com/MVIG-SJTU/AlphaPose. AlphaPose's crops are not included; see
        ``crop_prob`` of :meth:`sample`.

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
        """Fit a model to a detector's errors.

        The paper gives neither the number of atomic poses nor that of Gaussians.

        Args:
            keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
            keypoints_visible (np.ndarray): Visibility (N, K); above 0 if labelled.
            bboxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.
            detections (np.ndarray): Detection of each person (N, 4), xyxy, pixels.
            num_atoms (int): Maximum number of atomic poses. The number is reduced to
                the number of people divided by ``min_people`` if that is smaller; 0
                makes the model independent of the pose. Defaults to 16.
            max_components (int): Maximum number of Gaussians in a mixture. The number
                is chosen by the Bayesian information criterion. Defaults to 8.
            min_people (int): Atomic poses with fewer people use ``overall``. Defaults
                to 400.
            torso (tuple): Indices of the shoulders and of the hips. Defaults to
                COCO's.
            seed (int): Seed of k-means and of the mixtures. Defaults to 0.
            track (Callable): Wraps the sequence of mixtures to fit, for example in a
                progress bar. Defaults to ``iter``.

        Returns:
            ProposalModel: The fitted model.

        Raises:
            ImportError: If scikit-learn (the extra ``learn``) is not installed.
            ValueError: If there are fewer than 5 people, a ground-truth box is empty,
                inverted or not finite, or a labelled keypoint is not finite.
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
        """Write the model to a readable JSON file, rounded to six decimals.

        Args:
            path (str | Path): File to write.
        """
        write_proposal_file(
            path, self.overall, self.atoms, self.mixtures, self.people, self.torso
        )

    @classmethod
    def from_json(cls, path: str | Path) -> ProposalModel:
        """Read a file written by :meth:`to_json`.

        Args:
            path (str | Path): File to read.

        Returns:
            ProposalModel: The model.

        Raises:
            ValueError: If the file is not a proposal model, has another version or is
                damaged.
        """
        return read_proposal_file(path, cls)
