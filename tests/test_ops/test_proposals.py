# SPDX-License-Identifier: Apache-2.0
import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.ops import GaussianMixture, ProposalModel, align_poses, box_offsets


def two_poses():
    """Two aligned poses far apart: arms down and arms up (2, 17, 2)."""
    pose = sample_body(np.random.default_rng(0), 0.2).joints[:, :2]
    raised = pose.copy()
    raised[[7, 8, 9, 10]] -= [0, 0.6]
    return align_poses(np.stack((pose, raised)), np.ones((2, 17)))


def known():
    """A detector that cuts the top off where the arms are up, now and then much."""
    down = GaussianMixture(
        [1.0], [[0.0, 0.0, 0.0, -0.05]], [np.diag([4e-4, 4e-4, 4e-4, 9e-4])]
    )
    covariance = 4e-4 * np.eye(4)
    covariance[0, 2] = covariance[2, 0] = 3e-4
    up = GaussianMixture(
        [0.4, 0.6], [[0, 0.3, 0, 0], [0, 0.05, 0, 0]], [covariance, covariance]
    )
    overall = GaussianMixture([1.0], [[0, 0.1, 0, 0]], [1e-2 * np.eye(4)])
    return ProposalModel(overall, two_poses(), (down, up), (500, 500))


def crowd(number, seed=0):
    """People around the two poses: keypoints, visibility and boxes."""
    rng = np.random.default_rng(seed)
    poses = two_poses()[rng.integers(0, 2, number)]
    poses = poses + 0.03 * rng.normal(size=poses.shape)
    scale = rng.uniform(20, 80, (number, 1, 1))
    keypoints = scale * poses + rng.uniform(200, 400, (number, 1, 2))
    visible = (rng.random((number, 17)) < 0.9).astype(float)
    boxes = np.concatenate((keypoints.min(axis=1), keypoints.max(axis=1)), axis=1)
    return keypoints, visible, boxes


def test_sample_is_the_offsets_of_the_nearest_atom():
    model, (keypoints, visible, boxes) = known(), crowd(6)
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


@pytest.mark.parametrize(
    'source', [np.random.default_rng, np.random.RandomState], ids=['new', 'old']
)
def test_one_person_and_repeatable(source):
    model, (keypoints, visible, boxes) = known(), crowd(1)
    person = keypoints[0], visible[0], boxes[0]
    samples = model.sample(*person, 5, source(0))
    assert samples.shape == (5, 4)
    np.testing.assert_array_equal(model.sample(*person, 5, source(0)), samples)
    assert not np.array_equal(model.sample(*person, 5, source(1)), samples)
    assert model.sample(*person, 0, source(0)).shape == (0, 4)
    nobody = [x[:0] for x in (keypoints, visible, boxes)]
    assert model.sample(*nobody, 5, source(0)).shape == (0, 5, 4)


def test_a_pose_that_cannot_be_aligned_has_everybodys_offsets():
    model, (keypoints, visible, boxes) = known(), crowd(1)
    visible[0, [11, 12]] = 0
    assert model.assign(keypoints, visible) == [-1]
    assert model.mixture(-1) is model.overall
    log_prob = model.log_prob(keypoints, visible, boxes, boxes[:, None])
    expected = model.overall.log_prob(np.zeros(4))
    np.testing.assert_allclose(log_prob, [[expected]])


def test_an_atom_without_a_mixture_has_everybodys_offsets():
    small = known()
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
def test_never_empty_never_inverted(seed, corner, size, image, crop_prob):
    # a detector so bad that most of its boxes would be inverted
    wild = ProposalModel(GaussianMixture([1.0], np.zeros((1, 4)), [9 * np.eye(4)]))
    box = np.array([*corner, *np.add(corner, size)])
    samples = wild.sample(
        np.zeros((17, 2)), np.zeros(17), box, 50, np.random.default_rng(seed), image,
        crop_prob,
    )  # fmt: skip
    sides = samples[:, 2:] - samples[:, :2]
    least = np.multiply(0.1, size)
    if image is not None:
        least = np.minimum(least, image)
        assert (samples >= 0).all()
        assert (samples <= np.tile(image, 2)).all()
    assert (sides >= 0.99 * least - 1e-9).all()
    assert (sides > 0).all()


def test_proposals_leave_the_image_unless_clipped():
    model, box = ProposalModel.alphapose(), np.array([0.0, 0.0, 100.0, 200.0])
    arguments = np.zeros((17, 2)), np.zeros(17), box, 200
    free = model.sample(*arguments, np.random.default_rng(0))
    assert (free[:, 0] < 0).mean() > 0.3
    clipped = model.sample(*arguments, np.random.default_rng(0), (100, 200))
    np.testing.assert_allclose(clipped, free.clip(0, [100, 200] * 2))
    two = model.sample(
        np.zeros((2, 17, 2)), np.zeros((2, 17)), np.stack((box, box)), 200,
        np.random.default_rng(0), np.array([[100, 200], [1000, 1000]]),
    )  # fmt: skip
    assert two[0, :, 2].max() == 100
    assert two[1, :, 2].max() > 100


@pytest.mark.parametrize('crop_prob', [0.15, 0.3])
def test_windows_of_the_authors_crop_branch(crop_prob):
    # detections that are always twice as wide, so that the windows can be told
    wide = GaussianMixture([1.0], [[-0.5, 0, 0.5, 0]], [1e-12 * np.eye(4)])
    box = np.array([10.0, 20.0, 50.0, 100.0])
    samples = ProposalModel(wide).sample(
        np.zeros((17, 2)), np.zeros(17), box, 20000, np.random.default_rng(0),
        crop_prob=crop_prob,
    )  # fmt: skip
    sides = (samples[:, 2:] - samples[:, :2]) / [40, 80]
    windows = sides[:, 0] <= 1 + 1e-9
    assert windows.mean() == pytest.approx(crop_prob, abs=0.01)
    np.testing.assert_allclose(sides[windows, 0], sides[windows, 1])
    assert sides[windows].min() >= 1 - crop_prob
    assert sides[windows].min() < 1 - 0.95 * crop_prob
    assert (samples[windows] >= np.tile(box[:2], 2) - 1e-9).all()
    assert (samples[windows] <= np.tile(box[2:], 2) + 1e-9).all()
    # anywhere: as far from the left as from the right
    left = (samples[windows, 0] - 10).mean()
    right = (50 - samples[windows, 2]).mean()
    assert left == pytest.approx(right, rel=0.1)


def test_log_prob_is_that_of_each_persons_own_mixture():
    model, (keypoints, visible, boxes) = known(), crowd(30)
    detections = model.sample(keypoints, visible, boxes, 3, np.random.default_rng(0))
    found = model.log_prob(keypoints, visible, boxes, detections)
    assert found.shape == (30, 3)
    for i in range(30):
        width, height = boxes[i, 2:] - boxes[i, :2]
        mixture = model.mixtures[int(model.assign(keypoints[i], visible[i]))]
        for j in range(3):
            offset = (detections[i, j] - boxes[i]) / [width, height, width, height]
            assert found[i, j] == pytest.approx(mixture.log_prob(offset))


def test_fit_recovers_a_known_model_from_its_samples():
    model, (keypoints, visible, boxes) = known(), crowd(8000)
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

    # who cannot be aligned has the offsets of everybody, not those of known().overall
    people = crowd(2000, seed=1)
    people = [values[model.assign(*people[:2]) >= 0] for values in people]
    unseen = model.sample(*people, 1, np.random.default_rng(1))
    best = model.log_prob(*people, unseen).mean()
    assert fitted.log_prob(*people, unseen).mean() == pytest.approx(best, abs=0.02)
    one = ProposalModel.fit(
        keypoints, visible, boxes, detections, num_atoms=0, max_components=1
    )
    assert one.log_prob(*people, unseen).mean() < best - 0.5


def test_clusters_too_small_to_trust():
    keypoints, visible, boxes = crowd(300)
    detections = boxes + np.random.default_rng(0).normal(size=boxes.shape)
    fit = ProposalModel.fit
    assert fit(keypoints, visible, boxes, detections, min_people=301).atoms is None
    atoms = known().assign(keypoints, visible)
    rare = np.concatenate((np.flatnonzero(atoms == 0), np.flatnonzero(atoms == 1)[:20]))
    people = keypoints[rare], visible[rare], boxes[rare], detections[rare]
    small = fit(*people, num_atoms=2, min_people=50)
    assert sorted(small.people)[0] == 20
    assert small.mixtures[int(np.argmin(small.people))] is None
    assert small.mixtures[int(np.argmax(small.people))] is not None


def test_fit_is_repeatable_and_shows_its_progress():
    people = crowd(300)
    detections = people[2] + np.random.default_rng(0).normal(size=(300, 4))
    seen = []

    def track(steps):
        for step in steps:
            seen.append(len(step))
            yield step

    first = ProposalModel.fit(*people, detections, 2, 2, 50, seed=3, track=track)
    again = ProposalModel.fit(*people, detections, 2, 2, 50, seed=3)
    assert len(seen) == 3
    np.testing.assert_array_equal(first.atoms, again.atoms)
    np.testing.assert_array_equal(first.overall.means, again.overall.means)


def test_alphaposes_constants():
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


def test_json_is_read_back_and_by_people(tmp_path):
    model, people = known(), crowd(20)
    path = tmp_path / 'model.json'
    model.to_json(path)
    again = ProposalModel.from_json(path)
    np.testing.assert_allclose(again.atoms, model.atoms, atol=1e-6)
    assert again.torso == model.torso
    assert again.people == [500, 500]
    detections = model.sample(*people, 1, np.random.default_rng(0))
    np.testing.assert_allclose(
        again.log_prob(*people, detections), model.log_prob(*people, detections),
        atol=1e-3,
    )  # fmt: skip
    assert '"std": [0.02, 0.02, 0.02, 0.03]' in path.read_text()
    # what was read is written as it was
    again.to_json(tmp_path / 'again.json')
    assert (tmp_path / 'again.json').read_text() == path.read_text()

    plain = ProposalModel.alphapose()
    plain.to_json(path)
    assert ProposalModel.from_json(path).atoms is None
    none = ProposalModel(model.overall, model.atoms, (None, None), (1, 2))
    none.to_json(path)
    assert list(ProposalModel.from_json(path).mixtures) == [None, None]


def _without(*keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


def _with(value, *keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_with('coco', 'format'), "must be 'rmpe_plugin proposal model', got 'coco'"),
        (_without('format'), 'got None'),
        (_with(2, 'version'), 'is of version 2, this reads 1'),
        (_without('overall'), "damaged: it lacks 'overall'"),
        (_without('atoms', 0, 'pose'), "damaged: it lacks 'pose'"),
        (_without('atoms', 1, 'mixture', 0, 'std'), "damaged: it lacks 'std'"),
        (_with([[1, 2]], 'atoms', 0, 'pose'), 'damaged'),
        (_with('abc', 'atoms', 0, 'pose'), 'damaged'),
        (_with([0.1], 'overall', 0, 'mean'), 'damaged'),
        (_with(None, 'overall', 0, 'weight'), 'damaged: weights must be finite'),
        (_with(0.5, 'overall', 0, 'weight'), 'damaged: weights must be'),
        (_with([0, 1, 1, 1], 'overall', 0, 'std'), 'damaged: covariances must be'),
        (_with([], 'overall'), 'damaged'),
        (_with([[5, 6], [11, 99]], 'torso'), 'damaged: torso'),
        (_with([[5, 6]], 'torso'), 'damaged'),
        (_with(None, 'atoms', 0, 'people'), 'damaged'),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path, change, message):
    path = tmp_path / 'model.json'
    known().to_json(path)
    record = deepcopy(json.loads(path.read_text()))
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f'model.json .*{message}'):
        ProposalModel.from_json(path)


@pytest.mark.parametrize('content', [b'{"format": ', b'\xff\xfe', b'', b'[]', b'3'])
def test_a_foreign_file(tmp_path, content):
    path = tmp_path / 'model.json'
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r'model\.json (is not JSON|holds no proposal)'
    ):
        ProposalModel.from_json(path)


@pytest.mark.parametrize(
    'box', [[5, 5, 5, 9], [9, 5, 5, 9], [0, 0, np.nan, 4], [0, 0, np.inf, 4]]
)
def test_a_true_box_must_have_an_area(box):
    with pytest.raises(ValueError, match=r'x1 < x2 and y1 < y2, got \[\[?\d'):
        ProposalModel.alphapose().sample(
            np.zeros((17, 2)), np.zeros(17), np.array(box, float), 1,
            np.random.default_rng(0),
        )  # fmt: skip


def test_other_keypoints_than_fitted():
    with pytest.raises(ValueError, match='fitted to 17 keypoints, got 14'):
        known().assign(np.zeros((14, 2)), np.zeros(14))


def test_parts_that_do_not_fit_together():
    model = known()
    with pytest.raises(ValueError, match='4 edges, got 2'):
        ProposalModel(GaussianMixture([1.0], [[0, 0]], [np.eye(2)]))
    with pytest.raises(ValueError, match='got 2, 1 and 2'):
        ProposalModel(model.overall, model.atoms, (None,), (1, 2))
    with pytest.raises(ValueError, match=r'atoms must be finite and \(A, K, 2\)'):
        ProposalModel(model.overall, model.atoms[..., :1], (None, None), (1, 2))
