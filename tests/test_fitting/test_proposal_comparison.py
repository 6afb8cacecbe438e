# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.stats import ks_2samp

from rmpe_plugin.fitting.matching import (
    MatchedPeople,
    match_detections,
    read_matching_inputs,
)
from rmpe_plugin.fitting.proposal_comparison import (
    compare_offset_models,
    energy_distance,
    uniform_jitter,
)
from rmpe_plugin.ops import ProposalModel

from .factories import write_detections


def test_energy_distance_equals_loop_over_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 4)), rng.normal(size=(30, 4)) + 1

    def mean(pairs):
        return np.mean([np.linalg.norm(x - y) for x, y in pairs])

    expected = 2 * mean([(x, y) for x in a for y in b])
    for z in (a, b):
        different = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
        expected -= mean([(z[i], z[j]) for i, j in different])
    assert energy_distance(a, b) == pytest.approx(expected)
    halves = rng.normal(size=(2, 2000, 4))
    assert abs(energy_distance(*halves)) < 0.005


def ious(offsets):
    """IoU (N,) with the unit square of boxes with these offsets (N, 4)."""
    low, high = offsets[:, :2], 1 + offsets[:, 2:]
    sides = np.clip(np.minimum(high, 1) - np.maximum(low, 0), 0, None)
    both = sides.prod(axis=1)
    return both / (1 + np.clip(high - low, 0, None).prod(axis=1) - both)


@pytest.mark.parametrize('iou_thr', [0.05, 0.5, 0.8, 0.99])
@pytest.mark.parametrize('n', [0, 1, 500])
def test_uniform_jitter_keeps_the_iou(iou_thr, n):
    offsets = uniform_jitter(n, iou_thr, np.random.default_rng(0))
    assert offsets.shape == (n, 4)
    assert (ious(offsets) > iou_thr).all()


@pytest.mark.parametrize(
    ('iou_thr', 'reach'), [(0.3, 2.8), (0.5, 1.2), (0.7, 0.6), (0.9, 0.2)]
)
def test_uniform_jitter_is_uniform_among_all_boxes_with_this_iou(iou_thr, reach):
    """Rejection from a range that no accepted edge comes near the end of."""
    rng = np.random.default_rng(0)
    wide = np.concatenate(
        [
            offsets[ious(offsets) > iou_thr]
            for offsets in (rng.uniform(-reach, reach, (500_000, 4)) for _ in range(12))
        ]
    )
    assert len(wide) > 3000
    assert np.abs(wide).max() < 0.95 * reach
    jitter = uniform_jitter(20_000, iou_thr, rng)
    assert ks_2samp(ious(jitter), ious(wide)).pvalue > 0.01
    for edge in range(4):
        assert ks_2samp(jitter[:, edge], wide[:, edge]).pvalue > 0.01


@pytest.mark.parametrize('iou_thr', [0.0, 1.0, float('nan')])
def test_uniform_jitter_raises_on_impossible_iou(iou_thr):
    with pytest.raises(ValueError, match=f'between 0 and 1, got {iou_thr}'):
        uniform_jitter(1, iou_thr, np.random.default_rng(0))


@pytest.mark.slow
def test_pgpg_describes_held_out_people_better_than_baselines(tmp_path):
    annotations, detections = read_matching_inputs(*write_detections(tmp_path, 400), 17)
    pairs, _ = match_detections(annotations, detections)
    people = MatchedPeople.from_pairs(pairs, annotations['images'])
    chosen = people.image_ids > 300
    fitted, held_out = people[~chosen], people[chosen]
    model = ProposalModel.fit(*fitted.model_inputs, fitted.detections, 4, 4, 200)

    scores = compare_offset_models(model, fitted, held_out, 0.5, seed=0)
    likelihood = {name: score.log_likelihood for name, score in scores.items()}
    assert likelihood['PGPG'] > likelihood['single Gaussian'] + 0.2
    assert likelihood['single Gaussian'] > likelihood['AlphaPose'] + 0.3
    assert likelihood['PGPG'] > likelihood['single mixture'] - 0.2
    assert np.isnan(likelihood['uniform jitter'])
    for column in ('energy_distance', 'within_atomic_poses'):
        distance = {name: getattr(score, column) for name, score in scores.items()}
        assert distance['PGPG'] < 0.2 * distance['AlphaPose']
        assert distance['PGPG'] < 0.1 * distance['uniform jitter']
    within = {name: score.within_atomic_poses for name, score in scores.items()}
    assert within['PGPG'] < within['single Gaussian']


def test_no_atomic_pose_with_two_people_gives_nan(detected_crowd):
    annotations, detections = read_matching_inputs(*detected_crowd, 17)
    pairs, _ = match_detections(annotations, detections)
    people = MatchedPeople.from_pairs(pairs, annotations['images'])
    model = ProposalModel.fit(*people.model_inputs, people.detections, 4, 4, 200)
    atoms = model.assign(people.keypoints, people.keypoints_visible)
    two = people[[np.flatnonzero(atoms == atom)[0] for atom in np.unique(atoms)[:2]]]
    scores = compare_offset_models(model, people, two, iou_thr=0.8)
    assert np.isnan([score.within_atomic_poses for score in scores.values()]).all()
    assert np.isfinite([score.energy_distance for score in scores.values()]).all()
