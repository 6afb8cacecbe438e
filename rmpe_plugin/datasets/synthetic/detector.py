# SPDX-License-Identifier: Apache-2.0
"""A simulated person detector for the synthetic people.

No detector is run. The errors are drawn so that they behave as real ones do: thin
limbs at the rim of a box are cut off, hidden and truncated people are boxed worse and
missed more often, some people are boxed twice or together, and the score follows the
overlap with the truth.
"""

import numpy as np

from .body import INDEX
from .person import Person

# Joints whose limb is thin enough for a detector to cut it off.
_THIN = [INDEX[f'{side}_{j}'] for j in ('elbow', 'wrist', 'ankle')
         for side in ('left', 'right')]  # fmt: skip


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two xyxy boxes."""
    overlap = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
    return float(overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap))


def _cut(person: Person) -> np.ndarray:
    """How far a thin limb alone reaches out at each edge, share of the box, (4,)."""
    known = person.keypoints[:, 2] > 0
    thin = np.zeros_like(known)
    thin[_THIN] = True
    if not (known & thin).any() or not (known & ~thin).any():
        return np.zeros(4)
    limbs, trunk = (person.keypoints[known & m, :2] for m in (thin, ~thin))
    low = trunk.min(axis=0) - limbs.min(axis=0)
    high = limbs.max(axis=0) - trunk.max(axis=0)
    size = person.bbox[2:] - person.bbox[:2]
    return (np.concatenate((low, high)) / np.tile(size, 2)).clip(0, 0.5)


def _propose(
    rng: np.random.Generator, person: Person, size: tuple[int, int], noise: float
) -> np.ndarray:
    """One box for a person, xyxy, inside the image."""
    box_size = np.tile(person.bbox[2:] - person.bbox[:2], 2)
    inwards = np.array([1, 1, -1, -1])
    frame = np.tile(size, 2).astype(float)
    truncated = (person.full_bbox != np.clip(person.full_bbox, 0, frame)).mean()
    spread = noise * (0.025 + 0.09 * (1 - person.visible) + 0.05 * truncated)
    offset = inwards * rng.uniform(0, 0.7) * _cut(person) + rng.normal(0, spread, 4)
    # Where somebody else hides part of a person, detectors guess some of it.
    hidden = np.clip(person.full_bbox, 0, frame) - person.bbox
    guess = rng.uniform(0, 0.5) * (1 - person.visible) * hidden
    low, high = np.split(person.bbox + guess + offset * box_size, 2)
    high = np.clip(high, 4, size)
    return np.concatenate((np.clip(low, 0, high - 4), high))


def _result(box: np.ndarray, score: float) -> dict:
    """COCO's record of a detection, without its image."""
    x1, y1, x2, y2 = np.round(box, 2).tolist()
    return dict(
        category_id=1,
        bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        score=round(float(np.clip(score, 0.001, 0.999)), 4),
    )


def detect_people(
    rng: np.random.Generator, people: list[Person], size: tuple[int, int]
) -> list[dict]:
    """Simulate a detector on one image.

    Args:
        rng (np.random.Generator): Source of randomness.
        people (list[Person]): Who is there.
        size (tuple[int, int]): Width and height of the image, pixels.

    Returns:
        list[dict]: COCO results without ``image_id``: ``category_id``, ``bbox`` (xywh,
        pixels), ``score``; highest score first.
    """
    results = []
    for i, person in enumerate(people):
        if rng.random() < 0.01 + 0.6 * (1 - person.visible) ** 2:
            continue
        box = _propose(rng, person, size, noise=1.0)
        score = 1.15 * _iou(box, person.bbox) - 0.2 + rng.normal(0, 0.07)
        score *= 0.6 + 0.4 * person.visible
        results.append(_result(box, score))
        while rng.random() < 0.25:
            double = _propose(rng, person, size, noise=3.0)
            score *= rng.uniform(0.3, 0.85)
            results.append(_result(double, score))
        for other in people[i + 1 :]:
            if _iou(person.bbox, other.bbox) > 0.3 and rng.random() < 0.15:
                both = np.concatenate(
                    (
                        np.minimum(person.bbox[:2], other.bbox[:2]),
                        np.maximum(person.bbox[2:], other.bbox[2:]),
                    )
                )
                results.append(_result(both, rng.uniform(0.1, 0.5)))
    for _ in range(rng.poisson(0.6)):
        shape = rng.uniform((0.05, 0.15), (0.3, 0.7)) * size
        corner = rng.uniform(0, 1, 2) * (np.array(size) - shape)
        box = np.concatenate((corner, corner + shape))
        results.append(_result(box, rng.beta(1.2, 6)))
    return sorted(results, key=lambda result: -result['score'])
