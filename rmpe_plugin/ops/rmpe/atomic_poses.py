# SPDX-License-Identifier: Apache-2.0
"""Atomic poses: clusters of aligned poses (RMPE, section 3.3).

Convention:
    An aligned pose has the centre of its torso at (0, 0) and a torso of length 1.
    Keypoints that are not labelled are NaN. A pose that cannot be aligned is all NaN.
"""

import numpy as np

# Indices of the shoulders and of the hips among COCO's 17 keypoints.
COCO_TORSO = ((5, 6), (11, 12))

# Smallest share of labelled keypoints.
_MIN_LABELLED = 0.5
# Smallest ratio of the torso's length to the longer side of the pose's bounding box. A
# shorter torso points towards the camera, so its length is not a measure of scale.
_MIN_TORSO = 0.1


def align_poses(
    keypoints: np.ndarray,
    keypoints_visible: np.ndarray,
    torso: tuple[tuple[int, ...], tuple[int, ...]] = COCO_TORSO,
) -> np.ndarray:
    """Normalise the position and the torso length of poses.

    The torso runs from the midpoint of the shoulders to the midpoint of the hips. If
    only one shoulder or hip is labelled, it is used as the midpoint.

    Args:
        keypoints (np.ndarray): Keypoints (..., K, 2), pixels.
        keypoints_visible (np.ndarray): Visibility (..., K); above 0 if labelled.
        torso (tuple): Indices of the shoulders and of the hips. Defaults to COCO's.

    Returns:
        np.ndarray: Aligned poses (..., K, 2), in torso lengths. A pose is all NaN if
        it has no labelled shoulder or no labelled hip, if less than half of its
        keypoints are labelled, or if its torso is shorter than a tenth of the longer
        side of its bounding box.

    Raises:
        ValueError: If a labelled keypoint is not finite.

    Example:
        >>> shoulder, hip, knee = [10.0, 10.0], [10.0, 30.0], [20.0, 50.0]
        >>> pose = np.array([shoulder, hip, knee])
        >>> align_poses(pose, np.ones(3), torso=((0,), (1,)))
        array([[ 0. , -0.5],
               [ 0. ,  0.5],
               [ 0.5,  1.5]])
    """
    labelled = np.asarray(keypoints_visible) > 0
    points = np.where(labelled[..., None], keypoints, np.nan)
    _check_finite(points[labelled])
    with np.errstate(divide='ignore', invalid='ignore'):
        shoulders, hips = (
            _mean_labelled(points[..., part, :], labelled[..., part]) for part in torso
        )
        length = np.sqrt(((shoulders - hips) ** 2).sum(axis=-1))
        low, high = (
            extreme.reduce(points, axis=-2, keepdims=True)[..., 0, :]
            for extreme in (np.fmin, np.fmax)
        )
        size = high - low
        aligned = points - 0.5 * (shoulders + hips)[..., None, :]
        aligned = aligned / length[..., None, None]
        usable = (length >= _MIN_TORSO * size.max(axis=-1)) & (length > 0)
        usable &= labelled.mean(axis=-1) >= _MIN_LABELLED
    return np.where(usable[..., None, None], aligned, np.nan)


def _check_finite(points: np.ndarray) -> None:
    """Raise if one of the labelled points (N, 2) is not finite."""
    finite = np.isfinite(points)
    if not finite.all():
        invalid = points[~finite.all(axis=-1)]
        raise ValueError(f'labelled keypoints must be finite, got {invalid.tolist()}')


def _mean_labelled(points: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Mean (..., 2) of the labelled points of (..., P, 2), NaN if there are none."""
    return np.nansum(points, axis=-2) / labelled.sum(axis=-1)[..., None]


def nearest_atom(aligned: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Find the atomic pose nearest to each aligned pose.

    The distance is taken over the labelled keypoints.

    Args:
        aligned (np.ndarray): Aligned poses (..., K, 2).
        atoms (np.ndarray): Atomic poses (A, K, 2), A above 0.

    Returns:
        np.ndarray: Index of the nearest atomic pose (...,); -1 for poses that are all
        NaN.

    Example:
        >>> atoms = np.array([[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]])
        >>> pose = np.array([[np.nan, np.nan], [0.9, 0.2]])
        >>> nearest_atom(np.stack((pose, pose[::-1], np.nan * pose)), atoms)
        array([ 1,  0, -1])
    """
    # Without the squares of the poses, which are the same for all atoms.
    distance, labelled = _squared_distances(aligned, atoms)
    return np.where(labelled, distance.argmin(axis=-1), -1)


def distance_to_atoms(aligned: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Compute the distance of each aligned pose to the nearest atomic pose.

    Args:
        aligned (np.ndarray): Aligned poses (..., K, 2).
        atoms (np.ndarray): Atomic poses (A, K, 2), A above 0.

    Returns:
        np.ndarray: Root mean squared distance over the labelled keypoints (...,), in
        torso lengths; NaN for poses that are all NaN.

    Example:
        >>> atoms = np.array([[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]])
        >>> pose = np.array([[np.nan, np.nan], [1.0, 0.5]])
        >>> distance_to_atoms(np.stack((pose, np.nan * pose)), atoms)
        array([0.5, nan])
    """
    distance, labelled = _squared_distances(aligned, atoms)
    squares = np.nansum(aligned**2, axis=(-2, -1)) + distance.min(axis=-1)
    number = np.isfinite(aligned).all(axis=-1).sum(axis=-1)
    mean = squares.clip(min=0) / number.clip(min=1)
    return np.where(labelled, np.sqrt(mean), np.nan)


def _squared_distances(
    aligned: np.ndarray, atoms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (..., A) without the squares of the poses; labelled (...,)."""
    flat = aligned.reshape(*aligned.shape[:-2], atoms[0].size)  # (..., 2K)
    centres = atoms.reshape(len(atoms), -1)  # (A, 2K)
    labelled = ~np.isnan(flat)
    distance = labelled @ (centres**2).T - 2 * np.where(labelled, flat, 0.0) @ centres.T
    return distance, labelled.any(axis=-1)


def find_atoms(
    aligned: np.ndarray, num_atoms: int, seed: int = 0, max_rounds: int = 100
) -> np.ndarray:
    """Cluster aligned poses by k-means over their labelled keypoints.

    scikit-learn's k-means, with missing keypoints replaced by their mean over all
    poses, gives the initial clusters. From there k-means continues over the labelled
    keypoints only, until no pose changes its cluster.

    Args:
        aligned (np.ndarray): Aligned poses (N, K, 2), N at least ``num_atoms``. No pose
            may be all NaN.
        num_atoms (int): Number of atomic poses, at least 1.
        seed (int): Seed of the initial k-means. Defaults to 0.
        max_rounds (int): Maximum number of rounds over the labelled keypoints. Defaults
            to 100.

    Returns:
        np.ndarray: Atomic poses (num_atoms, K, 2). Each keypoint is the mean over those
        poses of the cluster that have it labelled.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.

    Example:
        >>> arm_up, arm_down = [[0.0, 0.0], [1.0, -1.0]], [[0.0, 0.0], [1.0, 1.0]]
        >>> poses = np.array([arm_up, arm_down, arm_up, arm_down])
        >>> atoms = find_atoms(poses, num_atoms=2)
        >>> sorted(atoms[:, 1].tolist())
        [[1.0, -1.0], [1.0, 1.0]]
    """
    from sklearn.cluster import KMeans

    flat = aligned.reshape(len(aligned), -1)  # (N, 2K)
    labelled = ~np.isnan(flat)
    filled = np.where(labelled, flat, 0.0)
    mean = filled.sum(axis=0) / np.maximum(labelled.sum(axis=0), 1)
    initial = KMeans(num_atoms, n_init=4, random_state=seed)
    clusters = initial.fit_predict(np.where(labelled, flat, mean))
    centres = initial.cluster_centers_  # (A, 2K)
    for _ in range(max_rounds):
        members = (clusters == np.arange(num_atoms)[:, None]).astype(float)  # (A, N)
        count = members @ labelled
        centres = np.where(count > 0, members @ filled / np.maximum(count, 1), centres)
        atoms = centres.reshape(num_atoms, *aligned.shape[1:])
        previous, clusters = clusters, nearest_atom(aligned, atoms)
        if (clusters == previous).all():
            break
    return atoms
