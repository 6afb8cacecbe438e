# SPDX-License-Identifier: Apache-2.0
"""Groups of keypoints: joints, visibility, crowding, size."""

import numpy as np

# CrowdPose's levels of crowding and their highest crowd index.
CROWDING = {'easy': 0.1, 'medium': 0.8, 'hard': 1.0}
# COCO's areas of medium people, square pixels.
MEDIUM_AREA = (32**2, 96**2)


def keypoint_groups(
    visibility: np.ndarray, crowding: np.ndarray, names: list[str]
) -> dict[str, np.ndarray]:
    """Divide the labelled keypoints by joint, visibility and crowding.

    Args:
        visibility (np.ndarray): COCO's visibility flags (N, K).
        crowding (np.ndarray): Crowd index of each person (N,), see
            :func:`rmpe_plugin.ops.evaluation.crowd_index`.
        names (list[str]): Names of the K joints.

    Returns:
        dict[str, np.ndarray]: Masks (N, K): ``'all'``; each joint by its name;
        ``'visible'`` (v = 2) and ``'occluded'`` (v = 1); people by CrowdPose's levels,
        ``'easy'``, ``'medium'`` and ``'hard'``.
    """
    labelled = visibility > 0
    groups = {'all': labelled}
    for k, name in enumerate(names):
        groups[name] = labelled & (np.arange(len(names)) == k)
    groups['visible'] = visibility == 2
    groups['occluded'] = visibility == 1
    low = -1.0
    for level, high in CROWDING.items():
        people = (crowding > low) & (crowding <= high)
        groups[level] = labelled & people[:, None]
        low = high
    return groups


def size_of(areas: np.ndarray) -> np.ndarray:
    """Return COCO's sizes of people.

    Args:
        areas (np.ndarray): Areas (N,), square pixels.

    Returns:
        np.ndarray: ``'small'``, ``'medium'`` or ``'large'`` (N,).
    """
    return np.array(['small', 'medium', 'large'])[np.digitize(areas, MEDIUM_AREA)]
