# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.ops import align_poses, find_atoms, nearest_atom

SHOULDERS, HIPS = [5, 6], [11, 12]
ALL = np.ones(17)


def synthetic_poses(number, seed=0):
    """Poses of synthetic people (N, 17, 2)."""
    rng = np.random.default_rng(seed)
    return np.stack([sample_body(rng, 1.0).joints[:, :2] for _ in range(number)])


@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.1, 1000),
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
)
def test_alignment_is_invariant_to_position_and_scale(seed, scale, shift):
    poses = synthetic_poses(3, seed)
    aligned = align_poses(poses, np.ones((3, 17)))
    moved = align_poses(scale * poses + shift, np.ones((3, 17)))
    np.testing.assert_allclose(moved, aligned, atol=1e-7)


def test_aligned_torso_has_length_one_and_is_centred():
    aligned = align_poses(synthetic_poses(5), np.ones((5, 17)))
    neck, pelvis = (aligned[:, part].mean(axis=1) for part in (SHOULDERS, HIPS))
    np.testing.assert_allclose(np.linalg.norm(neck - pelvis, axis=1), 1)
    np.testing.assert_allclose(neck + pelvis, 0, atol=1e-12)


def test_unlabelled_keypoints_are_nan_and_without_influence():
    pose, labelled = synthetic_poses(1)[0], ALL.copy()
    labelled[[0, 9]] = 0
    aligned = align_poses(pose, labelled)
    assert np.isnan(aligned[[0, 9]]).all()
    others = labelled > 0
    np.testing.assert_allclose(aligned[others], align_poses(pose, ALL)[others])
    corrupted = pose.copy()
    corrupted[0], corrupted[9] = np.nan, 1e9
    np.testing.assert_array_equal(align_poses(corrupted, labelled), aligned)


def test_one_labelled_shoulder_is_used_as_midpoint():
    pose, labelled = synthetic_poses(1)[0], ALL.copy()
    labelled[5] = 0
    both = pose.copy()
    both[5] = pose[6]
    expected = align_poses(both, ALL)
    expected[5] = np.nan
    np.testing.assert_allclose(align_poses(pose, labelled), expected)


@pytest.mark.parametrize(
    'unlabelled', [SHOULDERS, HIPS, [0, 1, 2, 3, 4, 7, 8, 9, 10], list(range(17))]
)
def test_poses_without_torso_or_half_of_keypoints_are_not_aligned(unlabelled):
    labelled = ALL.copy()
    labelled[unlabelled] = 0
    assert np.isnan(align_poses(synthetic_poses(1)[0], labelled)).all()
    # One more labelled keypoint is enough.
    if len(unlabelled) == 9:
        labelled[0] = 1
        assert not np.isnan(align_poses(synthetic_poses(1)[0], labelled)).all()


def test_poses_with_short_torso_are_not_aligned():
    pose = synthetic_poses(1)[0]
    pose[HIPS] = pose[SHOULDERS] + [0, 0.09 * np.ptp(pose[:, 1])]
    assert np.isnan(align_poses(pose, ALL)).all()
    pose[HIPS] = pose[SHOULDERS]
    assert np.isnan(align_poses(pose, ALL)).all()
    assert np.isnan(align_poses(np.zeros((17, 2)), ALL)).all()


def test_raises_on_non_finite_labelled_keypoint():
    for value in (np.nan, np.inf):
        pose = synthetic_poses(1)[0]
        pose[3, 1] = value
        with pytest.raises(ValueError, match='labelled keypoints must be finite'):
            align_poses(pose, ALL)


def test_other_torso_and_empty_input():
    pose = np.random.default_rng(0).normal(size=(14, 2))
    aligned = align_poses(pose, np.ones(14), torso=((0, 1), (6, 7)))
    neck, pelvis = aligned[[0, 1]].mean(axis=0), aligned[[6, 7]].mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(neck - pelvis), 1)
    assert align_poses(np.zeros((0, 17, 2)), np.zeros((0, 17))).shape == (0, 17, 2)


def test_nearest_atom_uses_labelled_keypoints():
    rng = np.random.default_rng(0)
    atoms, poses = rng.normal(size=(5, 17, 2)), rng.normal(size=(40, 17, 2))
    poses[rng.random((40, 17)) < 0.4] = np.nan
    poses[7] = np.nan
    nearest = nearest_atom(poses, atoms)
    for i, pose in enumerate(poses):
        distances = [np.nansum((pose - atom) ** 2) for atom in atoms]
        assert nearest[i] == (-1 if i == 7 else np.argmin(distances))


def sample_clusters(number=600, seed=0):
    """Poses around three distant centres; a third of the keypoints is NaN."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 17, 2))
    labels = rng.integers(0, 3, number)
    poses = centres[labels] + 0.1 * rng.normal(size=(number, 17, 2))
    poses[rng.random((number, 17)) < 0.33] = np.nan
    return centres, labels, poses


def test_find_atoms_recovers_clusters_with_missing_keypoints():
    centres, labels, poses = sample_clusters()
    atoms = find_atoms(poses, 3)
    match = np.linalg.norm(atoms[:, None] - centres, axis=(2, 3)).argmin(axis=0)
    assert sorted(match) == [0, 1, 2]
    np.testing.assert_allclose(atoms[match], centres, atol=0.05)
    np.testing.assert_array_equal(nearest_atom(poses, atoms), match[labels])
    # Each atomic pose is the mean of the labelled keypoints of its members.
    for i, atom in enumerate(atoms):
        members = poses[nearest_atom(poses, atoms) == i]
        np.testing.assert_allclose(atom, np.nanmean(members, axis=0))


def test_find_atoms_is_repeatable_and_accepts_keypoint_that_is_never_labelled():
    poses = align_poses(synthetic_poses(60), np.ones((60, 17)))
    poses[:, 4] = np.nan
    atoms = find_atoms(poses, 4, seed=1)
    assert np.isfinite(atoms).all()
    np.testing.assert_array_equal(find_atoms(poses, 4, seed=1), atoms)
