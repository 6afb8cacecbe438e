# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmpe_plugin.ops import GaussianMixture, ProposalModel, box_offsets
from tests.test_ops.test_rmpe.proposal_factories import sample_people, two_pose_model


def test_samples_have_offsets_of_nearest_atom():
    model, (keypoints, visible, boxes) = two_pose_model(), sample_people(6)
    atoms = model.assign(keypoints, visible)
    assert set(atoms) == {0, 1}
    samples = model.sample(keypoints, visible, boxes, 4000, np.random.default_rng(0))
    assert samples.shape == (6, 4000, 4)
    offsets = box_offsets(boxes[:, None], samples)
    for atom, offset in zip(atoms, offsets, strict=True):
        mixture = model.mixtures[atom]
        mean = mixture.weights @ mixture.means
        np.testing.assert_allclose(offset.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(
        np.cov(offsets[atoms == 1].reshape(-1, 4).T)[0, 2], 3e-4, rtol=0.1
    )


@pytest.mark.parametrize('make_rng', [np.random.default_rng, np.random.RandomState])
def test_samples_are_repeatable_and_batch_axes_are_optional(make_rng):
    model, (keypoints, visible, boxes) = two_pose_model(), sample_people(1)
    person = keypoints[0], visible[0], boxes[0]
    samples = model.sample(*person, 5, make_rng(0))
    assert samples.shape == (5, 4)
    np.testing.assert_array_equal(model.sample(*person, 5, make_rng(0)), samples)
    assert not np.array_equal(model.sample(*person, 5, make_rng(1)), samples)
    assert model.sample(*person, 0, make_rng(0)).shape == (0, 4)
    empty = [x[:0] for x in (keypoints, visible, boxes)]
    assert model.sample(*empty, 5, make_rng(0)).shape == (0, 5, 4)


def test_pose_that_cannot_be_aligned_has_overall_offsets():
    model, (keypoints, visible, boxes) = two_pose_model(), sample_people(1)
    visible[0, [11, 12]] = 0
    assert model.assign(keypoints, visible) == [-1]
    assert model.mixture(-1) is model.overall
    log_prob = model.log_prob(keypoints, visible, boxes, boxes[:, None])
    expected = model.overall.log_prob(np.zeros(4))
    np.testing.assert_allclose(log_prob, [[expected]])


def test_atom_without_mixture_has_overall_offsets():
    small = two_pose_model()
    small = ProposalModel(small.overall, small.atoms, (None, small.mixtures[1]), (3, 9))
    assert small.mixture(0) is small.overall
    assert small.mixture(1) is small.mixtures[1]


@given(
    seed=st.integers(0, 10**6),
    corner=st.tuples(st.floats(-50, 150), st.floats(-50, 150)),
    size=st.tuples(st.floats(0.01, 300), st.floats(0.01, 300)),
    image=st.none() | st.tuples(st.integers(1, 200), st.integers(1, 200)),
    crop_prob=st.sampled_from([0.0, 0.15, 0.5]),
)
def test_samples_are_neither_empty_nor_inverted(seed, corner, size, image, crop_prob):
    # Offsets so large that most boxes would be inverted.
    model = ProposalModel(GaussianMixture([1.0], np.zeros((1, 4)), [9 * np.eye(4)]))
    box = np.array([*corner, *np.add(corner, size)])
    samples = model.sample(
        np.zeros((17, 2)), np.zeros(17), box, 50, np.random.default_rng(seed), image,
        crop_prob,
    )  # fmt: skip
    sides = samples[:, 2:] - samples[:, :2]
    min_sides = np.multiply(0.1, size)
    if image is not None:
        min_sides = np.minimum(min_sides, image)
        assert (samples >= 0).all()
        assert (samples <= np.tile(image, 2)).all()
    assert (sides >= 0.99 * min_sides - 1e-9).all()
    assert (sides > 0).all()


def test_proposals_extend_beyond_image_unless_clipped():
    model, box = ProposalModel.alphapose(), np.array([0.0, 0.0, 100.0, 200.0])
    arguments = np.zeros((17, 2)), np.zeros(17), box, 200
    unclipped = model.sample(*arguments, np.random.default_rng(0))
    assert (unclipped[:, 0] < 0).mean() > 0.3
    clipped = model.sample(*arguments, np.random.default_rng(0), (100, 200))
    np.testing.assert_allclose(clipped, unclipped.clip(0, [100, 200] * 2))
    two = model.sample(
        np.zeros((2, 17, 2)), np.zeros((2, 17)), np.stack((box, box)), 200,
        np.random.default_rng(0), np.array([[100, 200], [1000, 1000]]),
    )  # fmt: skip
    assert two[0, :, 2].max() == 100
    assert two[1, :, 2].max() > 100


@pytest.mark.parametrize('crop_prob', [0.15, 0.3])
def test_crops_of_ground_truth_box(crop_prob):
    # Detections that are twice as wide, so that crops can be recognised by their width.
    wide = GaussianMixture([1.0], [[-0.5, 0, 0.5, 0]], [1e-12 * np.eye(4)])
    box = np.array([10.0, 20.0, 50.0, 100.0])
    samples = ProposalModel(wide).sample(
        np.zeros((17, 2)), np.zeros(17), box, 20000, np.random.default_rng(0),
        crop_prob=crop_prob,
    )  # fmt: skip
    sides = (samples[:, 2:] - samples[:, :2]) / [40, 80]
    crops = sides[:, 0] <= 1 + 1e-9
    assert crops.mean() == pytest.approx(crop_prob, abs=0.01)
    np.testing.assert_allclose(sides[crops, 0], sides[crops, 1])
    assert sides[crops].min() >= 1 - crop_prob
    assert sides[crops].min() < 1 - 0.95 * crop_prob
    assert (samples[crops] >= np.tile(box[:2], 2) - 1e-9).all()
    assert (samples[crops] <= np.tile(box[2:], 2) + 1e-9).all()
    # The position is uniform: the mean distances to the left and right edge are equal.
    left = (samples[crops, 0] - 10).mean()
    right = (50 - samples[crops, 2]).mean()
    assert left == pytest.approx(right, rel=0.1)


def test_log_prob_uses_mixture_of_each_person():
    model, (keypoints, visible, boxes) = two_pose_model(), sample_people(30)
    detections = model.sample(keypoints, visible, boxes, 3, np.random.default_rng(0))
    actual = model.log_prob(keypoints, visible, boxes, detections)
    assert actual.shape == (30, 3)
    for i in range(30):
        width, height = boxes[i, 2:] - boxes[i, :2]
        mixture = model.mixtures[int(model.assign(keypoints[i], visible[i]))]
        for j in range(3):
            offset = (detections[i, j] - boxes[i]) / [width, height, width, height]
            assert actual[i, j] == pytest.approx(mixture.log_prob(offset))


def test_fit_recovers_model_from_its_samples():
    model, (keypoints, visible, boxes) = two_pose_model(), sample_people(8000)
    detections = model.sample(keypoints, visible, boxes, 1, np.random.default_rng(0))
    detections = detections[:, 0]
    fitted = ProposalModel.fit(keypoints, visible, boxes, detections, num_atoms=2)
    order = np.linalg.norm(fitted.atoms[:, None] - model.atoms, axis=(2, 3)).argmin(0)
    np.testing.assert_allclose(fitted.atoms[order], model.atoms, atol=0.05)
    down, up = (fitted.mixtures[i] for i in order)
    np.testing.assert_allclose(down.means, [[0, 0, 0, -0.05]], atol=0.005)
    np.testing.assert_allclose(down.covariances, model.mixtures[0].covariances,
                               atol=1e-4)  # fmt: skip
    by_weight = np.argsort(up.weights)
    np.testing.assert_allclose(up.weights[by_weight], [0.4, 0.6], atol=0.02)
    np.testing.assert_allclose(up.means[by_weight], model.mixtures[1].means, atol=0.005)
    np.testing.assert_allclose(
        up.covariances[by_weight], model.mixtures[1].covariances, atol=1e-4
    )
    assert sum(fitted.people) <= 8000

    # Compare on people whose pose can be aligned. The others use ``overall``, which
    # differs from the fitted one.
    people = sample_people(2000, seed=1)
    people = [values[model.assign(*people[:2]) >= 0] for values in people]
    held_out = model.sample(*people, 1, np.random.default_rng(1))
    best = model.log_prob(*people, held_out).mean()
    assert fitted.log_prob(*people, held_out).mean() == pytest.approx(best, abs=0.02)
    single = ProposalModel.fit(
        keypoints, visible, boxes, detections, num_atoms=0, max_components=1
    )
    assert single.log_prob(*people, held_out).mean() < best - 0.5


def test_atoms_with_few_people_have_no_mixture():
    keypoints, visible, boxes = sample_people(300)
    detections = boxes + np.random.default_rng(0).normal(size=boxes.shape)
    fit = ProposalModel.fit
    assert fit(keypoints, visible, boxes, detections, min_people=301).atoms is None
    atoms = two_pose_model().assign(keypoints, visible)
    rare = np.concatenate((np.flatnonzero(atoms == 0), np.flatnonzero(atoms == 1)[:20]))
    people = keypoints[rare], visible[rare], boxes[rare], detections[rare]
    small = fit(*people, num_atoms=2, min_people=50)
    assert sorted(small.people)[0] == 20
    assert small.mixtures[int(np.argmin(small.people))] is None
    assert small.mixtures[int(np.argmax(small.people))] is not None


def test_fit_is_repeatable_and_calls_track():
    people = sample_people(300)
    detections = people[2] + np.random.default_rng(0).normal(size=(300, 4))
    lengths = []

    def track(steps):
        for step in steps:
            lengths.append(len(step))
            yield step

    first = ProposalModel.fit(*people, detections, 2, 2, 50, seed=3, track=track)
    second = ProposalModel.fit(*people, detections, 2, 2, 50, seed=3)
    assert len(lengths) == 3
    np.testing.assert_array_equal(first.atoms, second.atoms)
    np.testing.assert_array_equal(first.overall.means, second.overall.means)


def test_alphapose_constants():
    model = ProposalModel.alphapose()
    box = np.array([0.0, 0.0, 100.0, 1000.0])
    samples = model.sample(
        np.zeros((5, 2)), np.zeros(5), box, 100000, np.random.default_rng(0)
    )
    np.testing.assert_allclose(
        samples.mean(axis=0), [-1.42, 4.3, 101.54, 998.7], atol=0.7
    )
    np.testing.assert_allclose(
        samples.std(axis=0), [11.58, 68.0, 13.37, 71.1], rtol=0.01
    )


@pytest.mark.parametrize(
    'box', [[5, 5, 5, 9], [9, 5, 5, 9], [0, 0, np.nan, 4], [0, 0, np.inf, 4]]
)
def test_raises_on_invalid_ground_truth_box(box):
    with pytest.raises(ValueError, match=r'x1 < x2 and y1 < y2, got \[\[?\d'):
        ProposalModel.alphapose().sample(
            np.zeros((17, 2)), np.zeros(17), np.array(box, float), 1,
            np.random.default_rng(0),
        )  # fmt: skip


def test_raises_on_other_number_of_keypoints():
    with pytest.raises(ValueError, match='fitted to 17 keypoints, got 14'):
        two_pose_model().assign(np.zeros((14, 2)), np.zeros(14))


def test_raises_on_shapes_that_do_not_match():
    model = two_pose_model()
    with pytest.raises(
        ValueError, match='4 dimensions, one for each edge of a box, got 2'
    ):
        ProposalModel(GaussianMixture([1.0], [[0, 0]], [np.eye(2)]))
    with pytest.raises(ValueError, match='got 2, 1 and 2'):
        ProposalModel(model.overall, model.atoms, (None,), (1, 2))
    with pytest.raises(
        ValueError, match=r'atoms must be finite and have the shape \(A, K, 2\)'
    ):
        ProposalModel(model.overall, model.atoms[..., :1], (None, None), (1, 2))
