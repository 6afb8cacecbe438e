# SPDX-License-Identifier: Apache-2.0
"""Parametric pose NMS against AlphaPose's answers and against plain loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import (
    PoseNMSParams,
    parametric_pose_nms,
    parametric_pose_nms_batch,
    pose_similarity,
)

PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')
PAPER = PoseNMSParams.preset('rmpe-paper')


def crowd(rng, number, people=None, num_keypoints=17, jitter=3.0):
    """Poses (N, K, 2), scores (N, K) and boxes (N, 4), several of each person."""
    people = people or max(1, number // 2)
    body = rng.uniform(0, 300, (people, 1, 2)) + rng.normal(
        0, 25, (people, num_keypoints, 2)
    )
    who = rng.integers(0, people, number)
    keypoints = body[who] + rng.normal(0, jitter, (number, num_keypoints, 2))
    scores = rng.uniform(0, 1, (number, num_keypoints))
    low, high = keypoints.min(1), keypoints.max(1)
    return keypoints, scores, np.concatenate((low - 3, high + 3), axis=1)


def random_params(rng):
    """Parameters of every kind, near values at which something happens."""

    def maybe(value):
        return value if rng.random() < 0.5 else None

    return PoseNMSParams(
        sigma1=rng.choice([0.01, 0.3, 1.0]),
        sigma2=rng.uniform(0.5, 5),
        lambda_=rng.uniform(0, 3),
        eta=rng.uniform(0.1, 2),
        region=str(rng.choice(['box', 'circle'])),
        squared=bool(rng.random() < 0.5),
        units=str(rng.choice(['box', 'pixel'])),
        alpha=rng.uniform(0.05, 0.2),
        normalize=True,
        match_count=maybe(int(rng.integers(1, 6))),
        match_radius=maybe(7.0),
        max_score_thr=rng.choice([0.0, 0.5]),
        mean_score_thr=rng.choice([0.0, 0.4]),
        min_area=rng.choice([0.0, 5000.0]),
        merge=str(rng.choice(['none', 'weighted', 'weighted-max'])),
        merge_radius=maybe(5.0),
    )


# The paper's equations once more, one keypoint at a time.


def slow_similarity(keypoints, scores, boxes, p):
    number, num_keypoints = scores.shape
    answer = np.zeros((number, number))
    for i in range(number):
        width, height = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        unit = p.alpha * max(width, height) if p.units == 'box' else 1
        for j in range(number):
            for n in range(num_keypoints):
                dx, dy = keypoints[i, n] - keypoints[j, n]
                distance = math.hypot(dx, dy) / unit
                if p.region == 'box':
                    matched = (
                        abs(dx) <= p.alpha * width / 2
                        and abs(dy) <= p.alpha * height / 2
                    )
                else:
                    matched = distance <= 1
                if matched:
                    answer[i, j] += math.tanh(scores[i, n] / p.sigma1) * math.tanh(
                        scores[j, n] / p.sigma1
                    )
                power = 2 if p.squared else 1
                answer[i, j] += p.lambda_ * math.exp(-(distance**power) / p.sigma2)
    return answer / num_keypoints if p.normalize else answer


def reach(box, p, cap):
    longer = max(box[2] - box[0], box[3] - box[1])
    return min(p.alpha * longer, math.inf if cap is None else cap)


def slow_merge(pick, members, keypoints, scores, boxes, p):
    pose, score = keypoints[pick].copy(), scores[pick].copy()
    radius = reach(boxes[pick], p, p.merge_radius)
    for n in range(len(pose)):
        near = [
            m
            for m in members
            if math.dist(keypoints[m, n], keypoints[pick, n]) <= radius
        ]
        weights = [max(scores[m, n], 1e-5) for m in near]
        pose[n] = sum(
            w * keypoints[m, n] for w, m in zip(weights, near, strict=True)
        ) / sum(weights)
        score[n] = sum(
            w * scores[m, n] for w, m in zip(weights, near, strict=True)
        ) / sum(weights)
        if p.merge == 'weighted-max':
            score[n] = max(scores[m, n] for m in near)
    return pose, score


def slow_passes(pose, score, p):
    width, height = np.ptp(pose, axis=0)
    return (
        score.max() >= p.max_score_thr
        and score.mean() >= p.mean_score_thr
        and 1.5**2 * width * height >= p.min_area
    )


def slow_nms(keypoints, scores, boxes, p, person_scores=None):
    if person_scores is None:
        person_scores = scores.mean(axis=1)
    similarity = slow_similarity(keypoints, scores, boxes, p)
    left = sorted(range(len(scores)), key=lambda i: -person_scores[i])
    cluster_of = np.full(len(scores), -1)
    keep, poses, pose_scores = [], [], []
    while left:
        pick = left[0]
        members = [pick]
        for j in left[1:]:
            taken = similarity[pick, j] > p.eta
            if p.match_count is not None:
                radius = reach(boxes[pick], p, p.match_radius)
                distances = np.linalg.norm(keypoints[pick] - keypoints[j], axis=1)
                taken |= (distances <= radius).sum() >= p.match_count
            if taken:
                members.append(j)
        left = [j for j in left if j not in members]
        pose, score = keypoints[pick], scores[pick]
        passes = slow_passes(pose, score, p)
        if p.merge != 'none':
            pose, score = slow_merge(pick, members, keypoints, scores, boxes, p)
            passes &= slow_passes(pose, score, p)
        if passes:
            cluster_of[members] = pick
            keep.append(pick)
            poses.append(pose)
            pose_scores.append(score)
    return keep, cluster_of, poses, pose_scores


def assert_same(result, keep, cluster_of, keypoints, scores, **tolerance):
    assert result.keep.tolist() == list(keep)
    assert result.cluster_of.tolist() == list(cluster_of)
    if len(keep):
        np.testing.assert_allclose(result.keypoints, keypoints, **tolerance)
        np.testing.assert_allclose(result.keypoint_scores, scores, **tolerance)


@pytest.mark.parametrize('scene', range(6))
def test_reproduces_alphapose(golden, scene):
    values = {
        key.split('/')[1]: value
        for key, value in np.load(golden / 'alphapose_nms.npz').items()
        if key.startswith(f'{scene}/')
    }
    before = {key: value.copy() for key, value in values.items()}
    result = parametric_pose_nms(
        values['keypoints'],
        values['keypoint_scores'],
        values['bboxes'],
        PoseNMSParams.preset('alphapose-coco'),
    )
    np.testing.assert_array_equal(result.keep, values['picked'])
    np.testing.assert_array_equal(result.cluster_of, values['cluster_of'])
    np.testing.assert_allclose(
        result.keypoints, values['merged_keypoints'], rtol=0, atol=1e-3
    )
    np.testing.assert_allclose(
        result.keypoint_scores, values['merged_scores'], rtol=0, atol=1e-6
    )
    for key, value in values.items():
        np.testing.assert_array_equal(value, before[key])


def test_agrees_with_the_equations_in_thousands_of_cases():
    rng = np.random.default_rng(0)
    taken_in, filtered = 0, 0
    for _ in range(2000):
        number, num_keypoints = int(rng.integers(1, 7)), int(rng.choice([1, 3, 17]))
        keypoints, scores, boxes = crowd(rng, number, num_keypoints=num_keypoints)
        p = random_params(rng)
        np.testing.assert_allclose(
            pose_similarity(keypoints, scores, boxes, p),
            slow_similarity(keypoints, scores, boxes, p),
            rtol=1e-12,
            atol=1e-12,
        )
        person_scores = rng.random(number) if rng.random() < 0.3 else None
        arguments = (keypoints, scores, boxes, p, person_scores)
        result = parametric_pose_nms(*arguments)
        assert_same(result, *slow_nms(*arguments), rtol=1e-9, atol=1e-9)
        taken_in += number - len(np.unique(result.cluster_of))
        filtered += (result.cluster_of == -1).sum()
    # The cases are no good if nothing ever happens in them.
    assert taken_in > 1000
    assert filtered > 1000


@pytest.mark.parametrize('name', PRESETS)
def test_presets_agree_with_the_equations(name):
    rng = np.random.default_rng(1)
    p = PoseNMSParams.preset(name)
    for _ in range(50):
        poses = crowd(rng, 12)
        assert_same(parametric_pose_nms(*poses, p), *slow_nms(*poses, p), rtol=1e-9)


def test_the_presets_differ_where_the_sources_do():
    paper, mpii, alphapose = map(PoseNMSParams.preset, PRESETS)
    assert (paper.region, paper.squared, paper.merge) == ('box', True, 'none')
    assert (mpii.region, mpii.squared, mpii.merge) == ('circle', False, 'weighted-max')
    assert (mpii.sigma1, mpii.sigma2, mpii.lambda_, mpii.eta) == (
        0.01,
        2.08,
        2.08,
        22.48,
    )
    assert (alphapose.sigma1, alphapose.sigma2, alphapose.lambda_) == (1, 2.65, 1.7)
    # 16 equal poses of MPII score 16 + 2.08 * 16 by that code
    pose, box = np.zeros((1, 16, 2)), np.array([[0.0, 0, 40, 100]])
    similarity = pose_similarity(pose, np.ones((1, 16)), box, mpii)
    assert similarity.item() == pytest.approx(49.28)


def test_a_row_is_seen_from_its_own_pose():
    keypoints = np.array([[[0.0, 0.0]], [[6.0, 0.0]]])
    boxes = np.array([[0.0, 0, 100, 100], [0, 0, 10, 10]])
    mpii = PoseNMSParams.preset('rmpe-mpii')
    seen = pose_similarity(keypoints, np.ones((2, 1)), boxes, mpii)
    # 6 pixels are 0.6 units of a box of 100 and 6 units of one of 10
    assert seen[0, 1] == pytest.approx(1 + 2.08 * math.exp(-0.6 / 2.08))
    assert seen[1, 0] == pytest.approx(2.08 * math.exp(-6 / 2.08))


def test_normalized_sums_serve_any_number_of_keypoints():
    rng = np.random.default_rng(2)
    keypoints, scores, boxes = crowd(rng, 10)
    p = replace(PAPER, eta=PAPER.eta / 17, normalize=True)
    once = parametric_pose_nms(keypoints, scores, boxes, p)
    # every keypoint four times: K = 68
    often = [np.tile(a, (1, 4) + (1,) * (a.ndim - 2)) for a in (keypoints, scores)]
    many = parametric_pose_nms(*often, boxes, p)
    np.testing.assert_array_equal(once.cluster_of, many.cluster_of)
    plain = parametric_pose_nms(keypoints, scores, boxes, PAPER)
    np.testing.assert_array_equal(once.cluster_of, plain.cluster_of)
    assert len(once.keep) < 10


poses_strategy = (
    st.integers(0, 2**32 - 1)
    .map(np.random.default_rng)
    .map(lambda rng: crowd(rng, int(rng.integers(1, 25))))
)


@settings(max_examples=150, deadline=None)
@given(poses_strategy, st.sampled_from(PRESETS), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(poses, name, random):
    p = PoseNMSParams.preset(name)
    new = list(range(len(poses[0])))
    random.shuffle(new)
    result = parametric_pose_nms(*poses, p)
    shuffled = parametric_pose_nms(*(a[new] for a in poses), p)
    assert [new[i] for i in shuffled.keep] == result.keep.tolist()
    owner = [new[i] if i >= 0 else -1 for i in shuffled.cluster_of]
    assert owner == result.cluster_of[new].tolist()
    np.testing.assert_allclose(shuffled.keypoints, result.keypoints, rtol=1e-9)


@settings(max_examples=150, deadline=None)
@given(
    poses_strategy,
    st.sampled_from(('rmpe-paper', 'rmpe-mpii')),
    st.tuples(st.integers(-500, 500), st.integers(-500, 500)),
    st.integers(-4, 6),
)
def test_moving_and_scaling_everything_changes_nothing(poses, name, shift, power):
    # Eighths of pixels, so that the change itself is exact.
    keypoints, scores, boxes = (np.round(a * 8) / 8 for a in poses)
    p = PoseNMSParams.preset(name)
    result = parametric_pose_nms(keypoints, scores, boxes, p)
    scale = 2.0**power
    moved = parametric_pose_nms(
        (keypoints + shift) * scale, scores, (boxes + np.tile(shift, 2)) * scale, p
    )
    np.testing.assert_array_equal(moved.keep, result.keep)
    np.testing.assert_array_equal(moved.cluster_of, result.cluster_of)
    np.testing.assert_allclose(moved.keypoints / scale - shift, result.keypoints)


@settings(max_examples=150, deadline=None)
@given(poses_strategy, st.sampled_from(PRESETS))
def test_twice_is_as_good_as_once(poses, name):
    # Merging moves poses, so that a second run sees other ones.
    p = replace(PoseNMSParams.preset(name), merge='none')
    once = parametric_pose_nms(*poses, p)
    again = parametric_pose_nms(
        once.keypoints, once.keypoint_scores, poses[2][once.keep], p
    )
    assert again.keep.tolist() == list(range(len(once.keep)))
    np.testing.assert_array_equal(again.keypoints, once.keypoints)


@pytest.mark.parametrize('name', PRESETS)
def test_many_images_at_once_are_the_same_as_one_by_one(name):
    rng = np.random.default_rng(3)
    p = PoseNMSParams.preset(name)
    images = [crowd(rng, n) for n in (5, 1, 12, 5, 40, 1, 12, 7)]
    nobody = (np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros((0, 4)))
    images = [nobody, *images, nobody]
    person_scores = [rng.random(len(image[0])) for image in images]
    batch = parametric_pose_nms_batch(*zip(*images, strict=True), p, person_scores)
    assert len(batch) == len(images)
    for result, image, score in zip(batch, images, person_scores, strict=True):
        alone = parametric_pose_nms(*image, p, score)
        for field, same in zip(result, alone, strict=True):
            np.testing.assert_array_equal(field, same)
    assert parametric_pose_nms_batch([], [], [], p) == []


def test_small_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    images = [crowd(rng, 30) for _ in range(5)]
    arguments = (*zip(*images, strict=True), PAPER)
    whole = parametric_pose_nms_batch(*arguments)
    similarity = pose_similarity(*images[0], PAPER)
    monkeypatch.setattr('rmpe_plugin.ops.pose_nms._FITS_CACHE', 100)
    for a, b in zip(whole, parametric_pose_nms_batch(*arguments), strict=True):
        np.testing.assert_array_equal(a.cluster_of, b.cluster_of)
    np.testing.assert_array_equal(pose_similarity(*images[0], PAPER), similarity)


DEVICES = [
    'cpu',
    pytest.param(
        'cuda',
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason='no CUDA device here'
        ),
    ),
]


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('name', PRESETS)
def test_torch_gives_what_numpy_gives(name, device):
    rng = np.random.default_rng(5)
    p = PoseNMSParams.preset(name)
    poses = [a.astype(np.float32) for a in crowd(rng, 60)]
    tensors = [torch.from_numpy(a.copy()).to(device).requires_grad_() for a in poses]
    expected = parametric_pose_nms(*poses, p)
    result = parametric_pose_nms(*tensors, p)
    for a, b in zip(result, expected, strict=True):
        assert a.device.type == device
        assert isinstance(b, np.ndarray)
        np.testing.assert_allclose(a.cpu(), b, rtol=1e-6)
    assert result.keypoints.dtype == torch.float32
    assert expected.keypoints.dtype == np.float32
    assert not result.keypoints.requires_grad
    # Ordinary tensors, that may be changed and differentiated.
    similarity = pose_similarity(*tensors, p)
    for tensor in (*result, similarity):
        assert not tensor.is_inference()
    for tensor, array in zip(tensors, poses, strict=True):
        np.testing.assert_array_equal(tensor.detach().cpu(), array)


def test_one_pose_and_none():
    rng = np.random.default_rng(6)
    result = parametric_pose_nms(*crowd(rng, 1), PAPER)
    assert (result.keep, result.cluster_of) == ([0], [0])
    for name in PRESETS:
        result = parametric_pose_nms(
            np.zeros((0, 5, 2)),
            np.zeros((0, 5)),
            np.zeros((0, 4)),
            PoseNMSParams.preset(name),
        )
        assert result.keypoints.shape == (0, 5, 2)
        assert result.keypoint_scores.shape == (0, 5)
        assert result.keep.shape == result.cluster_of.shape == (0,)
    assert pose_similarity(
        np.zeros((0, 5, 2)), np.zeros((0, 5)), np.zeros((0, 4)), PAPER
    ).shape == (0, 0)


def test_equal_scores_go_by_input_order():
    keypoints = np.zeros((4, 17, 2))
    keypoints[1] += 500
    keypoints[3] += 500
    boxes = np.tile([0.0, 0, 50, 100], (4, 1))
    result = parametric_pose_nms(keypoints, np.full((4, 17), 0.7), boxes, PAPER)
    assert result.keep.tolist() == [0, 1]
    assert result.cluster_of.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize('name', PRESETS)
def test_a_keypoint_without_a_place_is_no_evidence(name):
    rng = np.random.default_rng(7)
    p = PoseNMSParams.preset(name)
    keypoints, scores, boxes = crowd(rng, 10)
    keypoints[:, 16] = 1e6 * np.arange(10)[:, None]
    scores[:, 16] = 0
    far = parametric_pose_nms(keypoints, scores, boxes, p)
    for value in (np.nan, np.inf, -np.inf):
        broken, any_score = keypoints.copy(), scores.copy()
        broken[:, 16, 0] = value
        any_score[:, 16] = rng.uniform(0.1, 1, 10)
        result = parametric_pose_nms(broken, any_score, boxes, p)
        np.testing.assert_array_equal(result.cluster_of, far.cluster_of)
        np.testing.assert_allclose(result.keypoints[:, :16], far.keypoints[:, :16])
        # what came in goes out
        np.testing.assert_array_equal(result.keypoints[:, 16, 0], value)
        np.testing.assert_array_equal(
            result.keypoint_scores[:, 16], any_score[result.keep, 16]
        )
        assert len(result.keep) < 10


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('value', [np.nan, -0.3, np.inf, -np.inf])
def test_a_score_that_is_no_evidence_counts_zero(name, value):
    rng = np.random.default_rng(8)
    p = PoseNMSParams.preset(name)
    keypoints, scores, boxes = crowd(rng, 10)
    broken = scores.copy()
    scores[:, 3], broken[:, 3] = 0, value
    result = parametric_pose_nms(keypoints, broken, boxes, p)
    expected = parametric_pose_nms(keypoints, scores, boxes, p)
    np.testing.assert_array_equal(result.keep, expected.keep)
    np.testing.assert_array_equal(result.cluster_of, expected.cluster_of)
    np.testing.assert_array_equal(result.keypoints, expected.keypoints)


def test_nothing_known_at_all_suppresses_nothing():
    keypoints, scores = np.full((3, 17, 2), np.nan), np.full((3, 17), np.nan)
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    for name in ('rmpe-paper', 'rmpe-mpii'):
        result = parametric_pose_nms(
            keypoints, scores, boxes, PoseNMSParams.preset(name)
        )
        assert result.keep.tolist() == [0, 1, 2]
        assert np.isnan(result.keypoints).all()


def test_a_person_score_that_is_nan_comes_last():
    keypoints, scores = np.zeros((3, 17, 2)), np.ones((3, 17))
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    person_scores = np.array([np.nan, -5.0, -np.inf])
    result = parametric_pose_nms(keypoints, scores, boxes, PAPER, person_scores)
    assert result.keep.tolist() == [1]


def test_a_box_without_extent_matches_the_same_place_only():
    keypoints = np.zeros((3, 17, 2))
    keypoints[2] += 0.01
    for name in ('rmpe-paper', 'rmpe-mpii'):
        result = parametric_pose_nms(
            keypoints, np.ones((3, 17)), np.zeros((3, 4)), PoseNMSParams.preset(name)
        )
        assert result.cluster_of.tolist() == [0, 0, 2]


def test_one_keypoint_is_a_pose_too():
    p = replace(PAPER, normalize=True, eta=1.0)
    keypoints = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[40.0, 0.0]]])
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    result = parametric_pose_nms(keypoints, np.ones((3, 1)), boxes, p)
    assert result.cluster_of.tolist() == [0, 0, 2]


@pytest.mark.parametrize('block', [256, 7])
def test_a_long_chain_is_settled_like_the_greedy_loop(block, monkeypatch):
    monkeypatch.setattr('rmpe_plugin.ops.pose_nms._BLOCK', block)
    # Each pose takes in the next one: every other one stands.
    number = 60
    keypoints = np.zeros((number, 17, 2)) + np.arange(number)[:, None, None] * 5.0
    scores = np.linspace(1, 0.5, number)[:, None].repeat(17, axis=1)
    boxes = np.tile([0.0, 0, 50, 100], (number, 1))
    p = replace(PAPER, region='circle')
    expected = slow_nms(keypoints, scores, boxes, p)
    assert_same(parametric_pose_nms(keypoints, scores, boxes, p), *expected)
    assert 1 < len(expected[0]) < number


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(keypoints=np.zeros((2, 17))), r'\(N, K, 2\), got \(2, 17\)'),
        (dict(keypoints=np.zeros((2, 17, 3))), r'got \(2, 17, 3\)'),
        (dict(keypoints=np.zeros((2, 0, 2))), r'got \(2, 0, 2\)'),
        (dict(keypoint_scores=np.zeros((2, 16))), r'keypoint_scores must be \(2, 17\)'),
        (dict(keypoint_scores=np.zeros((3, 17))), r'got \(3, 17\)'),
        (dict(bboxes=np.zeros((2, 5))), r'bboxes must be \(2, 4\)'),
        (dict(person_scores=np.zeros((2, 1))), r'person_scores must be \(2,\)'),
        (dict(bboxes=np.array([[0.0, 0, 1, 1], [5, 0, 4, 1]])), r'got \[5.0, 0.0, 4.0'),
        (dict(bboxes=np.array([[0.0, 0, np.nan, 1], [0, 0, 1, 1]])), 'finite'),
        (dict(bboxes=np.array([[0.0, 0, np.inf, 1], [0, 0, 1, 1]])), 'finite'),
    ],
)
def test_wrong_shapes_and_boxes_are_refused(change, message):
    arguments = dict(
        keypoints=np.zeros((2, 17, 2)),
        keypoint_scores=np.zeros((2, 17)),
        bboxes=np.tile([0.0, 0, 1, 1], (2, 1)),
        params=PAPER,
    )
    with pytest.raises(ValueError, match=message):
        parametric_pose_nms(**{**arguments, **change})


def test_kinds_of_arrays_are_not_mixed():
    keypoints, scores, boxes = crowd(np.random.default_rng(9), 2)
    with pytest.raises(TypeError, match='Tensor, ndarray'):
        parametric_pose_nms(torch.from_numpy(keypoints), scores, boxes, PAPER)
    with pytest.raises(TypeError, match='got list'):
        parametric_pose_nms(keypoints.tolist(), scores.tolist(), boxes.tolist(), PAPER)
    with pytest.raises(ValueError, match='keypoints of 2, keypoint_scores of 1'):
        parametric_pose_nms_batch([keypoints] * 2, [scores], [boxes], PAPER)
    with pytest.raises(ValueError, match=r'image 1 of the call'):
        parametric_pose_nms_batch(
            [keypoints, keypoints[:, :3]], [scores] * 2, [boxes] * 2, PAPER
        )
