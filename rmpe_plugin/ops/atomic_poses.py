# SPDX-License-Identifier: Apache-2.0
"""Atomic poses: what people do, wherever they stand and however large they are.

Aligned poses have their torso's middle at (0, 0) and a torso of length 1; a keypoint
that is not seen is NaN there, and so is all of a pose that cannot be aligned. RMPE,
section 3.3.
"""

import numpy as np

# Indices of the shoulders and of the hips among COCO's 17 keypoints.
COCO_TORSO = ((5, 6), (11, 12))

# A pose is aligned if so many of its keypoints are seen and its torso is so long beside
# all of it: what is seen along the torso's axis has no scale to align by.
_MIN_SEEN = 0.5
_MIN_TORSO = 0.1


def align_poses(
    keypoints: np.ndarray,
    keypoints_visible: np.ndarray,
    torso: tuple[tuple[int, ...], tuple[int, ...]] = COCO_TORSO,
) -> np.ndarray:
    """Bring poses to the same place and torso length.

    The torso runs from the middle of the shoulders to that of the hips; where only one
    of the two is seen it stands for both.

    Args:
        keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
        keypoints_visible (np.ndarray): Above 0 where a keypoint is known (..., K).
        torso (tuple): Indices of the shoulders and of the hips. Defaults to COCO's.

    Returns:
        np.ndarray: Aligned poses (..., K, 2), in torso lengths. All NaN where no
        shoulder or no hip is seen, where less than half of the keypoints are, or where
        the torso is shorter than a tenth of the pose's longer side.

    Raises:
        ValueError: If a keypoint that is seen is not finite.
    """
    seen = np.asarray(keypoints_visible) > 0
    points = np.where(seen[..., None], keypoints, np.nan)
    if not np.isfinite(points[seen]).all():
        raise ValueError('keypoints that are visible must be finite')
    with np.errstate(divide='ignore', invalid='ignore'):
        neck, pelvis = (_mean(points[..., part, :], seen[..., part]) for part in torso)
        length = np.sqrt(((neck - pelvis) ** 2).sum(axis=-1))
        size = np.fmax.reduce(points, axis=-2) - np.fmin.reduce(points, axis=-2)
        aligned = points - 0.5 * (neck + pelvis)[..., None, :]
        aligned = aligned / length[..., None, None]
        good = (length >= _MIN_TORSO * size.max(axis=-1)) & (length > 0)
        good &= seen.mean(axis=-1) >= _MIN_SEEN
    return np.where(good[..., None, None], aligned, np.nan)


def _mean(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean of the points that are seen, NaN if none is: (..., P, 2) to (..., 2)."""
    return np.nansum(points, axis=-2) / seen.sum(axis=-1)[..., None]


def nearest_atom(aligned: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Find the atomic pose that is nearest by the keypoints that are seen.

    Args:
        aligned (np.ndarray): Aligned poses (..., K, 2).
        atoms (np.ndarray): Atomic poses (A, K, 2), A above 0.

    Returns:
        np.ndarray: Index of the nearest (...,), -1 for poses that are not aligned.
    """
    flat = aligned.reshape(*aligned.shape[:-2], atoms[0].size)
    centres = atoms.reshape(len(atoms), -1)
    seen = ~np.isnan(flat)
    # the squared distance without what is the same for all atoms
    distance = seen @ (centres**2).T - 2 * np.where(seen, flat, 0.0) @ centres.T
    return np.where(seen.any(axis=-1), distance.argmin(axis=-1), -1)


def find_atoms(
    aligned: np.ndarray, num_atoms: int, seed: int = 0, max_rounds: int = 100
) -> np.ndarray:
    """Cluster aligned poses by k-means.

    It starts with unseen keypoints at their mean over all poses; from there its two
    steps alternate over what is seen, until nobody changes the cluster.

    Args:
        aligned (np.ndarray): Aligned poses (N, K, 2), N at least ``num_atoms``, none
            all NaN.
        num_atoms (int): How many atomic poses, at least 1.
        seed (int): Seed of where k-means starts. Defaults to 0.
        max_rounds (int): Most rounds of the two steps. Defaults to 100.

    Returns:
        np.ndarray: Atomic poses (num_atoms, K, 2), each the mean of what is seen of
        its members.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.
    """
    from sklearn.cluster import KMeans

    flat = aligned.reshape(len(aligned), -1)
    seen = ~np.isnan(flat)
    known = np.where(seen, flat, 0.0)
    mean = known.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    start = KMeans(num_atoms, n_init=4, random_state=seed)
    labels = start.fit_predict(np.where(seen, flat, mean))
    centres = start.cluster_centers_
    for _ in range(max_rounds):
        members = (labels == np.arange(num_atoms)[:, None]).astype(float)
        count = members @ seen
        centres = np.where(count > 0, members @ known / np.maximum(count, 1), centres)
        atoms = centres.reshape(num_atoms, *aligned.shape[1:])
        before, labels = labels, nearest_atom(aligned, atoms)
        if (labels == before).all():
            break
    return atoms
