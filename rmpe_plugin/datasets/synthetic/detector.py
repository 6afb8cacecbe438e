# SPDX-License-Identifier: Apache-2.0
"""Simulate the errors of a person detector; no detector is run.

The errors follow those of real detectors: thin limbs at the border of a box are cut
off, boxes of occluded and truncated people are less accurate and missed more often,
some people are detected twice, some pairs of people get one box, and the score is
correlated with the overlap with the ground-truth box.
"""

import numpy as np

from rmpe_plugin.structures import make_detection

from .body import INDEX
from .parts import SIDES
from .person import Person

# Joints of limbs that are thin enough to be cut off.
_THIN = [
    INDEX[f'{side}_{joint}'] for joint in ('elbow', 'wrist', 'ankle') for side in SIDES
]


def detect_people(
    rng: np.random.Generator, people: list[Person], size: tuple[int, int]
) -> list[dict]:
    """Simulate a detector on an image.

    Args:
        rng (np.random.Generator): Random generator.
        people (list[Person]): Annotated people.
        size (tuple[int, int]): Width and height of the image, pixels.

    Returns:
        list[dict]: COCO results without ``image_id``: ``category_id``, ``bbox`` (xywh,
        pixels) and ``score``, sorted by decreasing score.
    """
    detections = []
    for i, person in enumerate(people):
        if rng.random() < 0.01 + 0.6 * (1 - person.visible) ** 2:
            continue
        detections += _detect_person(rng, person, size)
        detections += _merge_with_others(rng, person, people[i + 1 :])
    for _ in range(rng.poisson(0.6)):
        detections.append(_false_positive(rng, size))
    return sorted(detections, key=lambda detection: -detection['score'])


def box_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes.

    Args:
        a (np.ndarray): Box (4,), xyxy.
        b (np.ndarray): Box (4,), xyxy.

    Returns:
        float: IoU, 0 to 1.
    """
    overlap = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
    return float(overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap))


def perturb_box(
    rng: np.random.Generator, person: Person, size: tuple[int, int], noise: float
) -> np.ndarray:
    """Add a detector's error to a ground-truth box.

    Args:
        rng (np.random.Generator): Random generator.
        person (Person): The person.
        size (tuple[int, int]): Width and height of the image, pixels.
        noise (float): Scale of the random error; 1 for a normal detection.

    Returns:
        np.ndarray: Box (4,), xyxy, inside the image.
    """
    box_size = np.tile(person.bbox[2:] - person.bbox[:2], 2)
    inwards = np.array([1, 1, -1, -1])
    border = np.tile(size, 2).astype(float)
    truncated = (person.full_bbox != np.clip(person.full_bbox, 0, border)).mean()
    spread = noise * (0.025 + 0.09 * (1 - person.visible) + 0.05 * truncated)
    cut = inwards * rng.uniform(0, 0.7) * _limb_overhang(person)
    offset = cut + rng.normal(0, spread, 4)
    # Detectors extend a box over some of the occluded part of a person.
    occluded = np.clip(person.full_bbox, 0, border) - person.bbox
    extension = rng.uniform(0, 0.5) * (1 - person.visible) * occluded
    low, high = np.split(person.bbox + extension + offset * box_size, 2)
    high = np.clip(high, 4, size)
    return np.concatenate((np.clip(low, 0, high - 4), high))


def _limb_overhang(person: Person) -> np.ndarray:
    """How far thin limbs extend beyond the trunk at each edge, (4,) of the box size."""
    labelled = person.keypoints[:, 2] > 0
    thin = np.zeros_like(labelled)
    thin[_THIN] = True
    if not (labelled & thin).any() or not (labelled & ~thin).any():
        return np.zeros(4)
    limbs, trunk = (person.keypoints[labelled & mask, :2] for mask in (thin, ~thin))
    low = trunk.min(axis=0) - limbs.min(axis=0)
    high = limbs.max(axis=0) - trunk.max(axis=0)
    size = person.bbox[2:] - person.bbox[:2]
    return (np.concatenate((low, high)) / np.tile(size, 2)).clip(0, 0.5)


def _detect_person(
    rng: np.random.Generator, person: Person, size: tuple[int, int]
) -> list[dict]:
    """Detection of a person, followed by duplicates with lower scores."""
    box = perturb_box(rng, person, size, noise=1.0)
    score = 1.15 * box_iou(box, person.bbox) - 0.2 + rng.normal(0, 0.07)
    score *= 0.6 + 0.4 * person.visible
    detections = [_to_record(box, score)]
    while rng.random() < 0.25:
        box = perturb_box(rng, person, size, noise=3.0)
        score *= rng.uniform(0.3, 0.85)
        detections.append(_to_record(box, score))
    return detections


def _merge_with_others(
    rng: np.random.Generator, person: Person, others: list[Person]
) -> list[dict]:
    """Boxes around the person and another one who overlaps."""
    detections = []
    for other in others:
        if box_iou(person.bbox, other.bbox) > 0.3 and rng.random() < 0.15:
            low = np.minimum(person.bbox[:2], other.bbox[:2])
            high = np.maximum(person.bbox[2:], other.bbox[2:])
            box = np.concatenate((low, high))
            detections.append(_to_record(box, rng.uniform(0.1, 0.5)))
    return detections


def _false_positive(rng: np.random.Generator, size: tuple[int, int]) -> dict:
    """A box at a random place."""
    box_size = rng.uniform((0.05, 0.15), (0.3, 0.7)) * size
    corner = rng.uniform(0, 1, 2) * (np.array(size) - box_size)
    box = np.concatenate((corner, corner + box_size))
    return _to_record(box, rng.beta(1.2, 6))


def _to_record(box: np.ndarray, score: float) -> dict:
    """COCO result without ``image_id``; the score is clipped to 0.001 and 0.999."""
    x1, y1, x2, y2 = np.round(box, 2).tolist()
    bbox = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    return make_detection(bbox, round(float(np.clip(score, 0.001, 0.999)), 4))
