# SPDX-License-Identifier: Apache-2.0
"""Groups of people in MPII's multi-person evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Reach of a person from its position, pixels at scale 1 (200 pixels high).
REACH = 50


def poses_in_group(
    keypoints: np.ndarray,
    positions: np.ndarray,
    scales: np.ndarray,
    centre_joints: Sequence[int] = (6, 7),
) -> np.ndarray:
    """Select the predicted poses that belong to a group of people.

    Images of MPII can have several groups, which are evaluated one by one, and people
    who are not evaluated. The rule is that of RMPE's authors: a pose belongs to the
    group if its centre is in the rectangle around the positions of the group's people,
    extended by 50 pixels times the scale of each (github.com/Fang-Haoshu/RMPE).

    Args:
        keypoints (np.ndarray): Predicted joints (P, K, 2), pixels.
        positions (np.ndarray): MPII's rough position of each person of the group
            (G, 2), pixels.
        scales (np.ndarray): MPII's scale of each person (G,): height divided by 200
            pixels.
        centre_joints (Sequence[int]): Joints whose mean is the centre of a pose.
            Defaults to (6, 7), pelvis and thorax in MPII.

    Returns:
        np.ndarray: Boolean mask (P,); ``False`` for poses with a NaN in these joints.

    Raises:
        ValueError: If the group has no people or a scale is not positive.

    Example:
        >>> poses = np.zeros((3, 16, 2)) + np.array([[[90.0]], [[160.0]], [[260.0]]])
        >>> poses_in_group(poses, np.array([[100.0, 100], [200, 200]]), np.ones(2))
        array([ True,  True, False])
    """
    if not len(positions) or not (scales > 0).all():
        raise ValueError(
            f'a group must have people with positive scales, got {scales.tolist()}'
        )
    reach = REACH * scales[:, None]
    low, high = (positions - reach).min(axis=0), (positions + reach).max(axis=0)
    centre = keypoints[:, list(centre_joints)].mean(axis=1)  # (P, 2)
    return ((centre >= low) & (centre <= high)).all(axis=1)
