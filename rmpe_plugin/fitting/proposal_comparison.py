# SPDX-License-Identifier: Apache-2.0
"""Compare models of a detector's offsets on held-out people."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from pycocotools.mask import iou
from scipy.spatial.distance import cdist

from rmpe_plugin.ops import GaussianMixture, ProposalModel

from .matching import MatchedPeople

# Energy distances are quadratic in the number of people, and more people than this
# hardly change them.
MAX_COMPARED = 4000


class OffsetScores(NamedTuple):
    """How well a model describes the offsets of detections.

    Attributes:
        log_likelihood (float): Mean log density of the detections' offsets; NaN for a
            baseline without a density.
        energy_distance (float): Energy distance between sampled and detected offsets.
        within_atomic_poses (float): That distance within each atomic pose, averaged
            over people.
    """

    log_likelihood: float
    energy_distance: float
    within_atomic_poses: float


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance of two samples; about 0 if their distributions are equal.

    2 E|X - Y| - E|X - X'| - E|Y - Y'|, the unbiased estimate (Szekely and Rizzo,
    Energy statistics, 2013).

    Args:
        a (np.ndarray): Sample (N, D), N above 1.
        b (np.ndarray): Sample (M, D), M above 1.

    Returns:
        float: The distance; slightly negative values occur by chance.
    """
    within = [cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * cdist(a, b).mean() - sum(within))


def uniform_jitter(n: int, iou_thr: float, rng: np.random.Generator) -> np.ndarray:
    """Sample uniform offsets of boxes with a minimum IoU, RMPE's baseline.

    Args:
        n (int): Number of offsets.
        iou_thr (float): The IoU with the ground-truth box is above this.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: Offsets (n, 4), in widths and heights of the ground-truth box.

    Raises:
        ValueError: If ``iou_thr`` is not in (0, 1).
    """
    if not 0 < iou_thr < 1:
        raise ValueError(f'iou_thr must be between 0 and 1, got {iou_thr}')
    # An edge that cuts off x leaves an IoU of at most 1 - x, one that adds x at most
    # 1 / (1 + x).
    cut, added = 1 - iou_thr, 1 / iou_thr - 1
    low, high = [-added, -added, -cut, -cut], [cut, cut, added, added]
    unit = np.array([0.0, 0.0, 1.0, 1.0])
    sampled = np.empty((0, 4))
    while len(sampled) < n:
        offsets = rng.uniform(low, high, (100 * n, 4))
        xywh = np.concatenate((offsets[:, :2], 1 + offsets[:, 2:] - offsets[:, :2]), 1)
        overlapping = iou(xywh, unit[None], [0])[:, 0] > iou_thr
        sampled = np.concatenate((sampled, offsets[overlapping]))
    return sampled[:n]


def compare_offset_models(
    model: ProposalModel,
    fitted: MatchedPeople,
    held_out: MatchedPeople,
    iou_thr: float = 0.5,
    seed: int = 0,
) -> dict[str, OffsetScores]:
    """Compare a proposal model with simpler models on held-out people.

    Args:
        model (ProposalModel): Model fitted to ``fitted``.
        fitted (MatchedPeople): People that the baselines are fitted to.
        held_out (MatchedPeople): People to compare on, at least 2. At most
            :data:`MAX_COMPARED` of them are used, chosen at random.
        iou_thr (float): IoU of the uniform jitter. Defaults to 0.5.
        seed (int): Seed of all samples. Defaults to 0.

    Returns:
        dict[str, OffsetScores]: Scores of ``'PGPG'`` (``model``), ``'single mixture'``
        (the pose ignored), ``'single Gaussian'``, ``'AlphaPose'`` (its constants) and
        ``'uniform jitter'``.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.
    """
    rng = np.random.default_rng(seed)
    people = held_out[rng.permutation(len(held_out))[:MAX_COMPARED]]
    gaussian = GaussianMixture.fit(fitted.offsets, max_components=1)
    models = {
        'PGPG': model,
        'single mixture': ProposalModel(model.overall),
        'single Gaussian': ProposalModel(gaussian),
        'AlphaPose': ProposalModel.alphapose(),
    }
    likelihoods = {name: _log_likelihood(m, people) for name, m in models.items()}
    samples = {name: people.sample_offsets(m, rng) for name, m in models.items()}
    likelihoods['uniform jitter'] = np.nan
    samples['uniform jitter'] = uniform_jitter(len(people), iou_thr, rng)
    groups = _atomic_pose_groups(model, people)
    return {
        name: OffsetScores(
            likelihoods[name],
            energy_distance(people.offsets, offsets),
            _distance_within(people.offsets, offsets, groups),
        )
        for name, offsets in samples.items()
    }


def _log_likelihood(model: ProposalModel, people: MatchedPeople) -> float:
    """Mean log density of the detections' offsets."""
    log_prob = model.log_prob(*people.model_inputs, people.detections[:, None])
    return float(log_prob.mean())


def _atomic_pose_groups(
    model: ProposalModel, people: MatchedPeople
) -> list[np.ndarray]:
    """Masks (N,) of the people of each atomic pose that has at least two."""
    atoms = model.assign(people.keypoints, people.keypoints_visible)
    return [atoms == atom for atom, n in Counter(atoms.tolist()).items() if n > 1]


def _distance_within(
    detected: np.ndarray, sampled: np.ndarray, groups: list[np.ndarray]
) -> float:
    """Energy distance within groups, averaged over people; NaN without groups."""
    if not groups:
        return float('nan')
    distances = [energy_distance(detected[group], sampled[group]) for group in groups]
    return float(np.average(distances, weights=[group.sum() for group in groups]))
