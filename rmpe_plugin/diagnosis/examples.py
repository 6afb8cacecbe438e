# SPDX-License-Identifier: Apache-2.0
"""The worst examples of each type of error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rmpe_plugin.ops.evaluation.error_types import (
    BACKGROUND,
    DUPLICATE,
    KEYPOINT_TYPES,
    MATCHED,
)
from rmpe_plugin.structures import area_of

from .diagnosis import Diagnosis
from .groups import size_of

#: Types of examples, in the order of the report.
EXAMPLE_TYPES = (
    *KEYPOINT_TYPES[1:], 'missed', 'duplicate', 'background', 'wrong order',
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A person or a prediction with an error.

    Args:
        error (str): Type of the error, of :data:`EXAMPLE_TYPES`.
        image (int): Index of the image.
        person (int): Index of the person in the image, -1 for none.
        prediction (int): Index of the prediction in the image, -1 for none.
        joints (tuple[int, ...]): Keypoints with the error.
        size (str): COCO's size of the person, or of the prediction.
        severity (float): The worst examples have the highest.
    """

    error: str
    image: int
    person: int
    prediction: int
    joints: tuple[int, ...]
    size: str
    severity: float


def worst_examples(diagnosis: Diagnosis, number: int) -> list[Example]:
    """Select the worst examples of each type.

    - Keypoint errors: highest sum of (1 - similarity), times the score of the
      prediction.
    - Missed people: largest area.
    - Duplicates and background: highest score.
    - Wrong order: largest difference of OKS.

    Args:
        diagnosis (Diagnosis): The diagnosis.
        number (int): Maximum number of examples of each type.

    Returns:
        list[Example]: The examples, by type and decreasing severity.
    """
    by_type: dict[str, list[Example]] = {error: [] for error in EXAMPLE_TYPES}
    for example in _examples(diagnosis):
        by_type[example.error].append(example)
    return [
        example
        for examples in by_type.values()
        for example in sorted(examples, key=lambda e: -e.severity)[:number]
    ]


def changed_people(
    before: Diagnosis, after: Diagnosis, number: int
) -> tuple[list[Example], list[Example]]:
    """Select the people whose OKS differs most between two models.

    Args:
        before (Diagnosis): Diagnosis of the first model.
        after (Diagnosis): Diagnosis of the second model, on the same annotations.
        number (int): Maximum number of people of each kind.

    Returns:
        tuple[list[Example], list[Example]]: Improved and worsened people, the largest
        change first. ``prediction`` is -1.
    """
    people = before.people
    change = after.people.oks - people.oks
    order = np.argsort(-np.abs(change), kind='stable')

    def select(sign: int, name: str) -> list[Example]:
        return [
            Example(name, int(people.image[i]), int(people.index[i]), -1, (),
                    str(people.size[i]), float(abs(change[i])))
            for i in order[sign * change[order] > 0][:number]
        ]  # fmt: skip

    return select(1, 'improved'), select(-1, 'worsened')


def prediction_of(diagnosis: Diagnosis, image: int, person: int) -> int:
    """Find the prediction that is matched to a person.

    Args:
        diagnosis (Diagnosis): The diagnosis.
        image (int): Index of the image.
        person (int): Index of the person in the image.

    Returns:
        int: Index of the prediction in the image, -1 if the person is missed.
    """
    types = diagnosis.types[image]
    found = np.flatnonzero((types.person == person) & (types.person_type == MATCHED))
    return int(found[0]) if len(found) else -1


def _examples(diagnosis: Diagnosis) -> Iterator[Example]:
    """All examples of all types."""
    for i, (image, types) in enumerate(
        zip(diagnosis.images, diagnosis.types, strict=True)
    ):
        sizes = size_of(np.array([area_of(person) for person in image.people]))
        for g in np.flatnonzero(types.missed):
            area = area_of(image.people[g])
            yield Example('missed', i, int(g), -1, (), str(sizes[g]), area)
        for p, person_type in enumerate(types.person_type):
            score, g = float(image.scores[p]), int(types.person[p])
            if person_type == MATCHED:
                size = str(sizes[g])
                yield from _keypoint_examples(i, p, g, size, score, types)
                if types.wrong_order[p]:
                    best = types.oks[types.duplicates_of(p)].max()
                    gap = float(best - types.oks[p])
                    yield Example('wrong order', i, g, p, (), size, gap)
            elif person_type == DUPLICATE:
                yield Example('duplicate', i, g, p, (), str(sizes[g]), score)
            elif person_type == BACKGROUND:
                size = str(size_of(_extent(image.keypoints[p])))
                yield Example('background', i, -1, p, (), size, score)


def _keypoint_examples(
    i: int, p: int, g: int, size: str, score: float, types
) -> Iterator[Example]:
    """Examples of the keypoint errors of a matched prediction."""
    for number, error in enumerate(KEYPOINT_TYPES):
        joints = np.flatnonzero(types.keypoint_type[p] == number)
        if number == 0 or not len(joints):
            continue
        severity = score * float((1 - types.similarity[p, joints]).sum())
        yield Example(error, i, g, p, tuple(map(int, joints)), size, severity)


def _extent(keypoints: np.ndarray) -> np.ndarray:
    """Area of the bounding box of keypoints (K, 2), pixels squared."""
    return np.ptp(keypoints, axis=0).prod()
