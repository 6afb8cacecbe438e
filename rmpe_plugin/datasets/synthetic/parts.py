# SPDX-License-Identifier: Apache-2.0
"""Body parts and the label of a pixel, which encodes a person and a part."""

import numpy as np

from .body import INDEX, KEYPOINTS

SIDES = ('left', 'right')
PARTS = (
    'torso',
    'head',
    *(
        f'{side}_{limb}'
        for side in SIDES
        for limb in ('upper_arm', 'forearm', 'thigh', 'shin', 'foot')
    ),
)
PART_INDEX = {name: i for i, name in enumerate(PARTS)}


def _parts_of_keypoints() -> np.ndarray:
    """Which parts a keypoint belongs to, (17, number of parts) bool."""
    parts_of = np.zeros((len(KEYPOINTS), len(PARTS)), dtype=bool)
    parts_of[:5, PART_INDEX['head']] = True
    for joint, limbs in dict(
        shoulder=('upper_arm',),
        elbow=('upper_arm', 'forearm'),
        wrist=('forearm',),
        hip=('thigh',),
        knee=('thigh', 'shin'),
        ankle=('shin', 'foot'),
    ).items():
        for side in SIDES:
            parts = [PART_INDEX[f'{side}_{limb}'] for limb in limbs]
            parts_of[INDEX[f'{side}_{joint}'], parts] = True
    return parts_of


# A keypoint is visible where one of its parts is in front.
PARTS_OF_KEYPOINTS = _parts_of_keypoints()


def encode_label(person: int, part: str) -> int:
    """Label of the pixels of a part of a person, at least 1.

    Args:
        person (int): Index of the person.
        part (str): One of :data:`PARTS`.

    Returns:
        int: The label; 0 is the label of the background.
    """
    return person * len(PARTS) + PART_INDEX[part] + 1


def decode_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Person and part of each label.

    Args:
        labels (np.ndarray): Labels of any shape.

    Returns:
        tuple[np.ndarray, np.ndarray]: Index of the person, -1 for the background, and
        index of the part, meaningless there; both of the shape of ``labels``.
    """
    return np.divmod(labels - 1, len(PARTS))
