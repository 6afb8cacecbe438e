# SPDX-License-Identifier: Apache-2.0
"""Annotated people: whether they are evaluated, and their scale."""

from collections.abc import Sequence

import numpy as np

# COCO's id of the category person.
PERSON_CATEGORY = 1
# CrowdPose has no areas; its evaluation uses this share of the box.
AREA_OF_BOX = 0.53
# Head size in MPII's evaluation: this factor times the diagonal of the head box.
HEAD_FACTOR = 0.6


def is_evaluated(annotation: dict) -> bool:
    """Check whether an annotation is a person with labelled keypoints, not a crowd.

    Args:
        annotation (dict): COCO annotation.

    Returns:
        bool: Whether it is.
    """
    visibility = annotation.get('keypoints', ())[2::3]
    return not annotation.get('iscrowd') and any(v > 0 for v in visibility)


def labelled_keypoints(annotations: Sequence[dict], num_keypoints: int) -> np.ndarray:
    """Return the keypoints of annotations, without those that are not labelled.

    Args:
        annotations (Sequence[dict]): COCO annotations (N).
        num_keypoints (int): Number of keypoints K.

    Returns:
        np.ndarray: Keypoints (N, K, 2), pixels; NaN where not labelled.
    """
    none = [0] * (3 * num_keypoints)
    triples = np.array([a.get('keypoints') or none for a in annotations], float)
    triples = triples.reshape(-1, num_keypoints, 3)
    return np.where(triples[..., 2:] > 0, triples[..., :2], np.nan)


def area_of(annotation: dict) -> float:
    """Return the area of an annotation.

    Args:
        annotation (dict): COCO annotation with ``area`` or ``bbox``.

    Returns:
        float: ``area``, or 0.53 times the area of the box; square pixels.

    Raises:
        ValueError: If the annotation is evaluated, and its area is not positive.
    """
    if 'area' in annotation:
        key, area = 'area', annotation['area']
    else:
        _, _, width, height = annotation['bbox']
        key, area = 'bbox', AREA_OF_BOX * max(width, 0) * max(height, 0)
    if not area > 0 and is_evaluated(annotation):
        raise ValueError(
            f'annotation {annotation["id"]} must have a positive area for OKS, got '
            f'{key} {annotation[key]}'
        )
    return area


def reference_length(annotation: dict, key: str) -> float:
    """Return the reference length of a person, such as its head size.

    Args:
        annotation (dict): Annotation.
        key (str): Entry with a box (x, y, w, h), a head box whose diagonal is
            multiplied by 0.6; or with a number, the length in pixels.

    Returns:
        float: Length in pixels.

    Raises:
        ValueError: If the entry is missing or not positive.
    """
    value = annotation.get(key)
    length = value
    if isinstance(value, list) and len(value) == 4:
        length = HEAD_FACTOR * float(np.hypot(*value[2:]))
    if not isinstance(length, (int, float)) or not length > 0:
        raise ValueError(
            f'annotation {annotation["id"]} must have {key!r}, a box (x, y, w, h) or a '
            f'positive number, got {value!r}'
        )
    return float(length)
