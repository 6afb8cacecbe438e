# SPDX-License-Identifier: Apache-2.0
"""COCO's visibility as numbers that MMPose's transforms keep.

MMPose's pipeline has min(1, v) only, and its ``KeypointConverter`` keeps one number of
each keypoint. Labelled keypoints are therefore slightly above 1, by different amounts.
All are positive, and their sums are below the next whole number, so transforms that
count or compare labelled keypoints behave as with 1. ``KeypointConverter`` multiplies
the numbers of two keypoints for the point between them.
"""

import numpy as np

_STEP = 2**-12
# The product of two occluded keypoints is below the limit, all others are above.
_OCCLUDED, _LIMIT, _VISIBLE = 1 + _STEP, 1 + 3 * _STEP, 1 + 4 * _STEP


def encode_visibility(visibility: np.ndarray) -> np.ndarray:
    """Encode COCO's visibility.

    Args:
        visibility (np.ndarray): v of each keypoint: 0, 1 or 2.

    Returns:
        np.ndarray: Numbers of the same shape, float32: 0 if not labelled, else slightly
        above 1.

    Example:
        >>> encode_visibility(np.array([0, 1, 2])).round(2)
        array([0., 1., 1.], dtype=float32)
    """
    labelled = np.where(visibility > 1, _VISIBLE, _OCCLUDED)
    return np.where(visibility > 0, labelled, 0).astype(np.float32)


def decode_visibility(encoded: np.ndarray) -> np.ndarray:
    """Decode which keypoints are visible.

    Args:
        encoded (np.ndarray): What :func:`encode_visibility` returned, or a product of
            two keypoints, which is visible if one of them is.

    Returns:
        np.ndarray: Whether each keypoint is visible (v = 2).

    Raises:
        ValueError: If a labelled keypoint is exactly 1, as without an encoding.

    Example:
        >>> decode_visibility(encode_visibility(np.array([0, 1, 2])))
        array([False, False,  True])
    """
    if (encoded == 1).any():
        raise ValueError('the visibility of a labelled keypoint is not encoded')
    return encoded > _LIMIT
