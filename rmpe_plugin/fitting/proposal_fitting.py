# SPDX-License-Identifier: Apache-2.0
"""Prepare the fit of a proposal model: torso keypoints and held-out people."""

import numpy as np

from .matching import MatchedPeople

_MIN_FITTED, _MIN_HELD_OUT = 5, 2


def find_torso(keypoint_ids: dict[str, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Look up the keypoints to which poses are aligned.

    Args:
        keypoint_ids (dict[str, int]): Index of each keypoint by name, MMPose's
            ``keypoint_name2id``.

    Returns:
        tuple[tuple[int, int], tuple[int, int]]: Indices of the left and right
        shoulder, and of the left and right hip.

    Raises:
        ValueError: If one of them is missing.
    """
    shoulders, hips = (
        (f'left_{part}', f'right_{part}') for part in ('shoulder', 'hip')
    )
    missing = sorted({*shoulders, *hips} - set(keypoint_ids))
    if missing:
        raise ValueError(f'the data set has no keypoint {", ".join(missing)}')
    left_shoulder, right_shoulder = (keypoint_ids[name] for name in shoulders)
    left_hip, right_hip = (keypoint_ids[name] for name in hips)
    return (left_shoulder, right_shoulder), (left_hip, right_hip)


def hold_out_images(
    people: MatchedPeople, share: float = 0.2, seed: int = 0
) -> tuple[MatchedPeople, MatchedPeople]:
    """Divide people into a fitting and a held-out split that share no image.

    Args:
        people (MatchedPeople): All people.
        share (float): Share of the images that are held out. Defaults to 0.2.
        seed (int): Seed of the random choice. Defaults to 0.

    Returns:
        tuple[MatchedPeople, MatchedPeople]: The fitting split and the held-out split.

    Raises:
        ValueError: If there are fewer than 5 people in the fitting split or fewer than
            2 in the held-out split.
    """
    rng = np.random.default_rng(seed)
    images = rng.permutation(np.unique(people.image_ids))
    chosen = np.isin(people.image_ids, images[: round(share * len(images))])
    fitted, held_out = people[~chosen], people[chosen]
    if len(fitted) < _MIN_FITTED or len(held_out) < _MIN_HELD_OUT:
        raise ValueError(
            f'at least {_MIN_FITTED} people to fit to and {_MIN_HELD_OUT} held-out '
            f'people are needed, got {len(fitted)} and {len(held_out)}'
        )
    return fitted, held_out
