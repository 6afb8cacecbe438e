# SPDX-License-Identifier: Apache-2.0
"""Boxes of known people: like a detector's, cut off, and around two people."""

from collections.abc import Sequence

import numpy as np

from rmpe_plugin.ops import GaussianMixture, ProposalModel

# COCO's keypoints.
_HEAD = [0, 1, 2, 3, 4]
_ANKLES = [15, 16]
# A cut is this far beyond the ankles or the head, in heights of the box.
_MARGIN = 0.1
# No cut removes more of the box.
_MAX_CUT = 0.5

# Mistakes that no detector of these images makes often, but that are tested. Offsets of
# the edges, mean and standard deviation: no feet, no head, a neighbour on either side.
_MISTAKES = (
    ((0.0, 0.0, 0.0, -0.2), (0.03, 0.03, 0.03, 0.07)),
    ((0.0, 0.2, 0.0, 0.0), (0.03, 0.07, 0.03, 0.03)),
    ((-0.6, -0.05, 0.05, 0.05), (0.25, 0.1, 0.05, 0.1)),
    ((-0.05, -0.05, 0.6, 0.05), (0.05, 0.1, 0.25, 0.1)),
)
# Share of all mistakes in the training boxes.
_MISTAKEN = 0.3


def scale_offsets(model: ProposalModel, width: float) -> ProposalModel:
    """Scale the offsets of a proposal model.

    Args:
        model (ProposalModel): The model.
        width (float): Factor of the offsets.

    Returns:
        ProposalModel: The scaled model.
    """
    return _map_mixtures(model, lambda mixture: _mix([(1.0, mixture, width)]))


def training_boxes(model: ProposalModel, widths: Sequence[float]) -> ProposalModel:
    """Build the model of the training boxes, which covers the box sets.

    Args:
        model (ProposalModel): Model of a detector's boxes.
        widths (Sequence[float]): Factors of its offsets, equally frequent.

    Returns:
        ProposalModel: The model, in which 30 % of the boxes have no feet or no head, or
        include a neighbour.
    """
    means, deviations = np.array(_MISTAKES).swapaxes(0, 1)
    covariances = np.square(deviations)[:, :, None] * np.eye(4)
    mistakes = GaussianMixture(np.full(len(means), 1 / len(means)), means, covariances)
    share = (1 - _MISTAKEN) / len(widths)
    return _map_mixtures(
        model,
        lambda mixture: _mix(
            [
                *((share, mixture, width) for width in widths),
                (_MISTAKEN, mistakes, 1.0),
            ]
        ),
    )


def _map_mixtures(model: ProposalModel, change) -> ProposalModel:
    """Apply a function to all mixtures of a model."""
    mixtures = [mixture and change(mixture) for mixture in model.mixtures]
    return ProposalModel(
        change(model.overall), model.atoms, mixtures, model.people, model.torso
    )


def _mix(parts: Sequence[tuple[float, GaussianMixture, float]]) -> GaussianMixture:
    """Mixture of parts: share, mixture, and factor of its samples."""
    return GaussianMixture(
        np.concatenate([share * part.weights for share, part, _ in parts]),
        np.concatenate([width * part.means for _, part, width in parts]),
        np.concatenate([width**2 * part.covariances for _, part, width in parts]),
    )


def without_feet(
    boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Cut off the feet: the lower edge is above both ankles.

    It is a tenth of the height above the higher ankle, but at most half of the box is
    removed. Boxes without a labelled ankle are not changed.

    Args:
        boxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.
        keypoints (np.ndarray): COCO's keypoints (N, 17, 2), pixels.
        visible (np.ndarray): Visibility (N, 17), above 0 if labelled.

    Returns:
        np.ndarray: Boxes (N, 4).
    """
    return _mirror(_move_top(_mirror(boxes), -keypoints, visible, _ANKLES))


def without_head(
    boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Cut off the head: the upper edge is below nose, eyes and ears.

    It is a tenth of the height below the lowest of them, but at most half of the box is
    removed. Boxes without one of them are not changed.

    Args:
        boxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.
        keypoints (np.ndarray): COCO's keypoints (N, 17, 2), pixels.
        visible (np.ndarray): Visibility (N, 17), above 0 if labelled.

    Returns:
        np.ndarray: Boxes (N, 4).
    """
    return _move_top(boxes, keypoints, visible, _HEAD)


def _mirror(boxes: np.ndarray) -> np.ndarray:
    """Rotate boxes (N, 4) by 180 degrees around the origin."""
    return -boxes[:, [2, 3, 0, 1]]


def _move_top(
    boxes: np.ndarray, keypoints: np.ndarray, visible: np.ndarray, parts: list[int]
) -> np.ndarray:
    """Move the upper edge below some keypoints."""
    top, height = boxes[:, 1], boxes[:, 3] - boxes[:, 1]
    labelled = visible[:, parts] > 0
    lowest = np.where(labelled, keypoints[:, parts, 1], -np.inf).max(axis=1)
    cut = np.clip(lowest + _MARGIN * height - top, 0, _MAX_CUT * height)
    changed = boxes.copy()
    changed[:, 1] += np.where(labelled.any(axis=1), cut, 0)
    return changed


def two_people(
    boxes: np.ndarray, image_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Put one box around two people who are close to each other.

    Two people of an image are a pair if, for both, the other one is the neighbour with
    the smallest common box.

    Args:
        boxes (np.ndarray): Ground-truth boxes (N, 4), xyxy, pixels.
        image_ids (np.ndarray): Image of each box (N,).

    Returns:
        tuple[np.ndarray, np.ndarray]: Common boxes (P, 4), and the index (P,) of the
        person of each pair who has the larger box, and so the higher IoU.
    """
    common = np.concatenate(
        (
            np.minimum(boxes[:, None, :2], boxes[None, :, :2]),
            np.maximum(boxes[:, None, 2:], boxes[None, :, 2:]),
        ),
        axis=-1,
    )
    areas = np.prod(common[..., 2:] - common[..., :2], axis=-1)
    areas[image_ids[:, None] != image_ids] = np.inf
    np.fill_diagonal(areas, np.inf)
    nearest = areas.argmin(axis=1)
    person = np.arange(len(boxes))
    paired = (nearest[nearest] == person) & np.isfinite(areas.min(axis=1))
    first = person[paired & (person < nearest)]
    second = nearest[first]
    sides = boxes[:, 2:] - boxes[:, :2]
    first_is_larger = sides[first].prod(axis=1) >= sides[second].prod(axis=1)
    return common[first, second], np.where(first_is_larger, first, second)
