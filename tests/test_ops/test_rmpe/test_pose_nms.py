# SPDX-License-Identifier: Apache-2.0
"""Pose NMS compared with AlphaPose's results and with plain loops."""

import tracemalloc
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
from tests.test_ops.test_rmpe.pose_nms_reference import (
    PRESETS,
    random_params,
    random_poses,
    slow_nms,
)

PAPER = PoseNMSParams.preset('rmpe-paper')


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


def test_equals_loops_with_random_parameters():
    rng = np.random.default_rng(0)
    suppressed, filtered = 0, 0
    for _ in range(2000):
        number, num_keypoints = int(rng.integers(1, 7)), int(rng.choice([1, 3, 17]))
        poses = random_poses(rng, number, num_keypoints=num_keypoints)
        p = random_params(rng, num_keypoints)
        person_scores = rng.random(number) if rng.random() < 0.3 else None
        arguments = (*poses, p, person_scores)
        result = parametric_pose_nms(*arguments)
        assert_same(result, *slow_nms(*arguments), rtol=1e-9, atol=1e-9)
        suppressed += number - len(np.unique(result.cluster_of))
        filtered += (result.cluster_of == -1).sum()
    # The parameters must actually suppress and filter out poses.
    assert suppressed > 1000
    assert filtered > 1000


@pytest.mark.parametrize('name', PRESETS)
def test_presets_equal_loops(name):
    rng = np.random.default_rng(1)
    p = PoseNMSParams.preset(name)
    for _ in range(50):
        poses = random_poses(rng, 12)
        assert_same(parametric_pose_nms(*poses, p), *slow_nms(*poses, p), rtol=1e-9)


def test_presets_match_their_sources():
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


def test_normalize_removes_dependence_on_number_of_keypoints():
    rng = np.random.default_rng(2)
    keypoints, scores, boxes = random_poses(rng, 10)
    p = replace(PAPER, eta=PAPER.eta / 17, normalize=True)
    normalized = parametric_pose_nms(keypoints, scores, boxes, p)
    # Every keypoint repeated four times, K = 68.
    repeated = [np.tile(a, (1, 4) + (1,) * (a.ndim - 2)) for a in (keypoints, scores)]
    many = parametric_pose_nms(*repeated, boxes, p)
    np.testing.assert_array_equal(normalized.cluster_of, many.cluster_of)
    plain = parametric_pose_nms(keypoints, scores, boxes, PAPER)
    np.testing.assert_array_equal(normalized.cluster_of, plain.cluster_of)
    assert len(normalized.keep) < 10


poses_strategy = (
    st.integers(0, 2**32 - 1)
    .map(np.random.default_rng)
    .map(lambda rng: random_poses(rng, int(rng.integers(1, 25))))
)


@settings(max_examples=150, deadline=None)
@given(poses_strategy, st.sampled_from(PRESETS), st.randoms(use_true_random=False))
def test_invariant_to_input_order(poses, name, random):
    p = PoseNMSParams.preset(name)
    order = list(range(len(poses[0])))
    random.shuffle(order)
    result = parametric_pose_nms(*poses, p)
    shuffled = parametric_pose_nms(*(a[order] for a in poses), p)
    assert [order[i] for i in shuffled.keep] == result.keep.tolist()
    cluster_of = [order[i] if i >= 0 else -1 for i in shuffled.cluster_of]
    assert cluster_of == result.cluster_of[order].tolist()
    np.testing.assert_allclose(shuffled.keypoints, result.keypoints, rtol=1e-9)


@settings(max_examples=150, deadline=None)
@given(
    poses_strategy,
    st.sampled_from(('rmpe-paper', 'rmpe-mpii')),
    st.tuples(st.integers(-500, 500), st.integers(-500, 500)),
    st.integers(-4, 6),
)
def test_invariant_to_translation_and_scale(poses, name, shift, power):
    # Multiples of 1/8 pixel, so that shifting and scaling have no rounding error.
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
def test_idempotent_without_merging(poses, name):
    # Merging changes the poses, so that a second run has different input.
    p = replace(PoseNMSParams.preset(name), merge='none')
    once = parametric_pose_nms(*poses, p)
    again = parametric_pose_nms(
        once.keypoints, once.keypoint_scores, poses[2][once.keep], p
    )
    assert again.keep.tolist() == list(range(len(once.keep)))
    np.testing.assert_array_equal(again.keypoints, once.keypoints)


@pytest.mark.parametrize('name', PRESETS)
def test_batch_equals_loop_over_images(name):
    rng = np.random.default_rng(3)
    p = PoseNMSParams.preset(name)
    images = [random_poses(rng, n) for n in (5, 1, 12, 5, 40, 1, 12, 7)]
    empty = (np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros((0, 4)))
    images = [empty, *images, empty]
    person_scores = [rng.random(len(image[0])) for image in images]
    batch = parametric_pose_nms_batch(*zip(*images, strict=True), p, person_scores)
    assert len(batch) == len(images)
    for result, image, score in zip(batch, images, person_scores, strict=True):
        single = parametric_pose_nms(*image, p, score)
        for field, expected in zip(result, single, strict=True):
            np.testing.assert_array_equal(field, expected)
    assert parametric_pose_nms_batch([], [], [], p) == []


def test_chunk_size_does_not_change_result(monkeypatch):
    rng = np.random.default_rng(4)
    images = [random_poses(rng, 30) for _ in range(5)]
    arguments = (*zip(*images, strict=True), PAPER)
    expected = parametric_pose_nms_batch(*arguments)
    monkeypatch.setattr('rmpe_plugin.ops.rmpe.pose_similarity.CHUNK_BYTES', 12800)
    for a, b in zip(expected, parametric_pose_nms_batch(*arguments), strict=True):
        np.testing.assert_array_equal(a.cluster_of, b.cluster_of)


@pytest.mark.parametrize('num_keypoints', [1, 17])
def test_choosing_close_pairs_does_not_change_result(num_keypoints, monkeypatch):
    few_poses = 'rmpe_plugin.ops.rmpe.pose_nms._FEW_POSES'
    rng = np.random.default_rng(14)
    for _ in range(500):
        params = random_params(rng, num_keypoints)
        poses = random_poses(rng, 12, num_keypoints=num_keypoints)
        monkeypatch.setattr(few_poses, 12)
        expected = parametric_pose_nms(*poses, params)
        monkeypatch.setattr(few_poses, 0)
        assert_same(parametric_pose_nms(*poses, params), *expected, rtol=1e-12)
    for name in PRESETS:
        params, poses = PoseNMSParams.preset(name), random_poses(rng, 12)
        expected = slow_nms(*poses, params)
        assert_same(parametric_pose_nms(*poses, params), *expected, rtol=1e-9)


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('function', [parametric_pose_nms, pose_similarity])
def test_memory_is_bounded(name, function, monkeypatch):
    number, limit = 300, 2**21
    keypoints, scores, boxes = random_poses(np.random.default_rng(5), number)
    poses = 0.01 * keypoints, scores, boxes  # all poses are close to one another
    # Pairs of poses: masks, indices and the result.
    others = 96 * number**2

    def peak():
        tracemalloc.start()
        function(*poses, PoseNMSParams.preset(name))
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory

    chunk_bytes = 'rmpe_plugin.ops.rmpe.pose_similarity.CHUNK_BYTES'
    monkeypatch.setattr(chunk_bytes, limit)
    assert peak() < limit + others
    monkeypatch.setattr(chunk_bytes, 2**40)
    assert peak() > 3 * (limit + others)


def test_numpy_input_ignores_the_default_device():
    poses = random_poses(np.random.default_rng(6), 12)
    expected = parametric_pose_nms(*poses, PAPER)
    with torch.device('meta'):
        result = parametric_pose_nms(*poses, PAPER)
    for field, other in zip(result, expected, strict=True):
        np.testing.assert_array_equal(field, other)


DEVICES = [
    'cpu',
    pytest.param(
        'cuda',
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason='needs a CUDA device'
        ),
    ),
]


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('name', PRESETS)
def test_torch_equals_numpy(name, device):
    rng = np.random.default_rng(5)
    p = PoseNMSParams.preset(name)
    poses = [a.astype(np.float32) for a in random_poses(rng, 60)]
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
    # No inference tensors: these would not support autograd and in-place changes.
    similarity = pose_similarity(*tensors, p)
    for tensor in (*result, similarity):
        assert not tensor.is_inference()
    for tensor, array in zip(tensors, poses, strict=True):
        np.testing.assert_array_equal(tensor.detach().cpu(), array)


@pytest.mark.parametrize('name', [*PRESETS, 'random'])
@pytest.mark.parametrize('missing', [False, True])
def test_batch_of_tensors_equals_numpy(name, missing):
    rng = np.random.default_rng(15)
    images = [random_poses(rng, n) for n in (3, 0, 30, 1, 30, 300)]
    if missing:
        for keypoints, scores, _ in images:
            keypoints[rng.random(keypoints.shape) < 0.1] = np.nan
            scores[rng.random(scores.shape) < 0.1] = np.inf
    params = random_params(rng, 17) if name == 'random' else PoseNMSParams.preset(name)
    expected = parametric_pose_nms_batch(*zip(*images, strict=True), params)
    similarity = pose_similarity(*images[2], params)
    tensors = [tuple(map(torch.from_numpy, image)) for image in images]
    results = parametric_pose_nms_batch(*zip(*tensors, strict=True), params)
    for result, arrays in zip(results, expected, strict=True):
        for tensor, array in zip(result, arrays, strict=True):
            assert isinstance(tensor, torch.Tensor)
            np.testing.assert_allclose(tensor, array, rtol=1e-12)
    tensor = pose_similarity(*tensors[2], params)
    np.testing.assert_allclose(tensor, similarity, rtol=1e-12)


@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize('name', PRESETS)
def test_result_has_the_dtype_of_the_input(name, dtype):
    params = PoseNMSParams.preset(name)
    poses = random_poses(np.random.default_rng(16), 12)
    tensors = [torch.from_numpy(array).to(dtype) for array in poses]
    result = parametric_pose_nms(*tensors, params)
    assert result.keypoints.dtype == result.keypoint_scores.dtype == dtype
    expected = parametric_pose_nms(*(tensor.double() for tensor in tensors), params)
    assert torch.equal(result.keep, expected.keep)
    assert torch.equal(result.keypoints, expected.keypoints.to(dtype))


def test_person_scores_of_minus_infinity_and_nan():
    keypoints = 500.0 * np.arange(3)[:, None, None] + np.zeros((3, 17, 2))
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    person_scores = np.array([np.nan, -np.inf, 0.1])
    result = parametric_pose_nms(
        keypoints, np.ones((3, 17)), boxes, PAPER, person_scores
    )
    assert result.keep.tolist() == [2, 1, 0]


def test_one_pose_and_no_poses():
    rng = np.random.default_rng(6)
    result = parametric_pose_nms(*random_poses(rng, 1), PAPER)
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


def test_equal_scores_keep_input_order():
    keypoints = np.zeros((4, 17, 2))
    keypoints[1] += 500
    keypoints[3] += 500
    boxes = np.tile([0.0, 0, 50, 100], (4, 1))
    result = parametric_pose_nms(keypoints, np.full((4, 17), 0.7), boxes, PAPER)
    assert result.keep.tolist() == [0, 1]
    assert result.cluster_of.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize('name', PRESETS)
def test_keypoint_with_non_finite_position_is_ignored(name):
    rng = np.random.default_rng(7)
    p = PoseNMSParams.preset(name)
    keypoints, scores, boxes = random_poses(rng, 10)
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
        # The input is returned unchanged.
        np.testing.assert_array_equal(result.keypoints[:, 16, 0], value)
        np.testing.assert_array_equal(
            result.keypoint_scores[:, 16], any_score[result.keep, 16]
        )
        assert len(result.keep) < 10


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('value', [np.nan, -0.3, np.inf, -np.inf])
def test_invalid_keypoint_score_counts_as_zero(name, value):
    rng = np.random.default_rng(8)
    p = PoseNMSParams.preset(name)
    keypoints, scores, boxes = random_poses(rng, 10)
    broken = scores.copy()
    scores[:, 3], broken[:, 3] = 0, value
    result = parametric_pose_nms(keypoints, broken, boxes, p)
    expected = parametric_pose_nms(keypoints, scores, boxes, p)
    np.testing.assert_array_equal(result.keep, expected.keep)
    np.testing.assert_array_equal(result.cluster_of, expected.cluster_of)
    np.testing.assert_array_equal(result.keypoints, expected.keypoints)


def test_all_nan_poses_are_kept():
    keypoints, scores = np.full((3, 17, 2), np.nan), np.full((3, 17), np.nan)
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    for name in ('rmpe-paper', 'rmpe-mpii'):
        result = parametric_pose_nms(
            keypoints, scores, boxes, PoseNMSParams.preset(name)
        )
        assert result.keep.tolist() == [0, 1, 2]
        assert np.isnan(result.keypoints).all()


def test_nan_person_score_ranks_last():
    keypoints, scores = np.zeros((3, 17, 2)), np.ones((3, 17))
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    person_scores = np.array([np.nan, -5.0, -np.inf])
    result = parametric_pose_nms(keypoints, scores, boxes, PAPER, person_scores)
    assert result.keep.tolist() == [1]


def test_empty_box_suppresses_equal_poses_only():
    keypoints = np.zeros((3, 17, 2))
    keypoints[2] += 0.01
    for name in ('rmpe-paper', 'rmpe-mpii'):
        result = parametric_pose_nms(
            keypoints, np.ones((3, 17)), np.zeros((3, 4)), PoseNMSParams.preset(name)
        )
        assert result.cluster_of.tolist() == [0, 0, 2]


def test_poses_of_one_keypoint():
    p = replace(PAPER, normalize=True, eta=1.0)
    keypoints = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[40.0, 0.0]]])
    boxes = np.tile([0.0, 0, 50, 100], (3, 1))
    result = parametric_pose_nms(keypoints, np.ones((3, 1)), boxes, p)
    assert result.cluster_of.tolist() == [0, 0, 2]


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('num_keypoints', [1, 2, 4, 5, 7, 8, 15, 16, 17])
def test_equal_poses_with_few_keypoints_are_suppressed(name, num_keypoints):
    params, rng = PoseNMSParams.preset(name), np.random.default_rng(0)
    pose = rng.uniform(10, 90, (1, num_keypoints, 2))
    keypoints = np.concatenate((pose, pose, pose + 30))
    scores, boxes = np.ones((3, num_keypoints)), np.tile([0.0, 0, 100, 100], (3, 1))
    result = parametric_pose_nms(keypoints, scores, boxes, params)
    assert result.cluster_of.tolist() == [0, 0, 2]


def test_parameters_of_16_keypoints_and_more_are_as_published():
    params = PoseNMSParams.preset('alphapose-coco')
    for number in (16, 17, 133):
        assert params.for_keypoints(number) == params
    few = params.for_keypoints(4)
    assert (few.eta, few.match_count) == (22.48 / 4, 2)
    assert PAPER.for_keypoints(4).match_count is None


def test_long_chain_equals_greedy_loop():
    # Each pose suppresses the next one if it is kept: every other one is kept.
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
def test_raises_on_wrong_shapes_and_invalid_boxes(change, message):
    arguments = dict(
        keypoints=np.zeros((2, 17, 2)),
        keypoint_scores=np.zeros((2, 17)),
        bboxes=np.tile([0.0, 0, 1, 1], (2, 1)),
        params=PAPER,
    )
    with pytest.raises(ValueError, match=message):
        parametric_pose_nms(**{**arguments, **change})


def test_raises_on_mixed_array_types():
    keypoints, scores, boxes = random_poses(np.random.default_rng(9), 2)
    with pytest.raises(TypeError, match='Tensor, ndarray'):
        parametric_pose_nms(torch.from_numpy(keypoints), scores, boxes, PAPER)
    with pytest.raises(TypeError, match='got list'):
        parametric_pose_nms(keypoints.tolist(), scores.tolist(), boxes.tolist(), PAPER)
    with pytest.raises(ValueError, match='keypoints of 2, keypoint_scores of 1'):
        parametric_pose_nms_batch([keypoints] * 2, [scores], [boxes], PAPER)
    with pytest.raises(ValueError, match='image 1 of the batch'):
        parametric_pose_nms_batch(
            [keypoints, keypoints[:, :3]], [scores] * 2, [boxes] * 2, PAPER
        )


@pytest.mark.parametrize(('min_area', 'number'), [(18.0, 1), (18.01, 0)])
def test_pose_of_the_minimum_area_is_kept(min_area, number):
    """The bounds are 2 x 4 pixels, and each side is enlarged by 1.5."""
    keypoints = np.array([[[0.0, 0.0], [2.0, 4.0]]])
    boxes = np.array([[0.0, 0.0, 2.0, 4.0]])
    config = dict(preset='rmpe-mpii', min_area=min_area)
    params = PoseNMSParams.from_config(config)
    result = parametric_pose_nms(keypoints, np.ones((1, 2)), boxes, params)
    assert len(result.keep) == number
