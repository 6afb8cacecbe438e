# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch
from mmpose.codecs import MegviiHeatmap
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.codecs import CPNHeatmap
from rmpe_plugin.ops import encode_visibility, render_targets


def build_codec(**kwargs):
    settings = dict(input_size=(192, 256), heatmap_size=(48, 64), kernel_size=7)
    return CPNHeatmap(**{**settings, **kwargs})


def random_keypoints(seed=0, num_keypoints=17, margin=0):
    rng = np.random.default_rng(seed)
    size = np.array([192, 256])
    keypoints = rng.uniform(-margin, size + margin, (1, num_keypoints, 2))
    return keypoints, np.ones((1, num_keypoints), dtype=np.float32)


@pytest.mark.parametrize('kernel_size', [7, 9, 11, 15])
def test_targets_equal_the_reference(golden, kernel_size):
    if kernel_size == 9 and int(cv2.__version__.split('.')[0]) < 5:
        pytest.skip('OpenCV before 5 computes a kernel of 9 by its formula, 1 % off')
    numbers = np.load(golden / 'cpn_targets_64x48.npz')
    encoded = build_codec(kernel_size=kernel_size).encode(
        numbers['keypoints_input_px'][None], numbers['valid'][None]
    )
    expected = numbers[f'k{kernel_size}']
    np.testing.assert_allclose(encoded['heatmaps'], expected, atol=1e-4)
    np.testing.assert_array_equal(encoded['keypoint_weights'][0], numbers['valid'] > 0)


@pytest.mark.parametrize('kernel_size', [1, 7, 15, 23])
def test_targets_equal_one_blur_per_keypoint(kernel_size):
    keypoints, visible = random_keypoints()
    maps = build_codec(kernel_size=kernel_size).encode(keypoints, visible)['heatmaps']
    for k, (x, y) in enumerate(keypoints[0]):
        expected = np.zeros((64, 48), dtype=np.float32)
        expected[int(y / 4), int(x / 4)] = 1
        expected = cv2.GaussianBlur(expected, (kernel_size, kernel_size), 0)
        np.testing.assert_allclose(maps[k], expected / expected.max() * 255, atol=1e-3)


def test_targets_equal_megvii_inside_the_border():
    keypoints = np.random.default_rng(1).uniform(40, 150, (1, 17, 2))
    visible = np.ones((1, 17), dtype=np.float32)
    expected = MegviiHeatmap((192, 256), (48, 64), 11).encode(keypoints, visible)
    encoded = build_codec(kernel_size=11).encode(keypoints, visible)
    np.testing.assert_allclose(encoded['heatmaps'], expected['heatmaps'], atol=1e-3)


@pytest.mark.parametrize('num_keypoints', [1, 14, 17, 133])
def test_decodes_its_own_targets(num_keypoints):
    # Near the border the decoder's blur, padded with zeros, shifts the peak inwards.
    keypoints, visible = random_keypoints(2, num_keypoints, margin=-16)
    codec = build_codec()
    maps = codec.encode(keypoints, visible)['heatmaps']
    decoded, scores = codec.decode(maps)
    assert decoded.shape == (1, num_keypoints, 2)
    # half a heatmap pixel by the floor, and a quarter by the second maximum
    assert np.abs(decoded - keypoints).max() <= 4 * 0.75
    assert ((scores > 0.8) & (scores <= 1)).all()


def test_keypoints_outside_or_unlabelled_have_weight_zero():
    keypoints = np.array([[[-0.5, 5], [191.9, 255.9], [192, 10], [5, -1e30], [9, 9]]])
    visible = np.array([[1, 1, 1, 1, 0]], dtype=np.float32)
    encoded = build_codec().encode(keypoints, visible)
    assert encoded['keypoint_weights'].tolist() == [[0, 1, 0, 0, 0]]
    assert encoded['heatmaps'].max(axis=(1, 2)).tolist() == [0, 255, 0, 0, 0]


def test_occluded_keypoints_have_empty_targets():
    keypoints, labelled = random_keypoints()
    visibility = 2 * labelled
    visibility[0, :2] = 0
    visibility[0, 2:6] = 1
    exists = np.ones((1, 17))
    exists[0, 1] = 0
    encoded, with_missing = (
        build_codec(occluded='empty').encode(
            keypoints, encode_visibility(visibility), weights
        )
        for weights in (None, exists)
    )
    assert (encoded['keypoint_weights'] == 1).all()
    drawn = encoded['heatmaps'].max(axis=(1, 2)) > 0
    assert drawn.tolist() == [False] * 6 + [True] * 11
    assert with_missing['keypoint_weights'].tolist() == exists.tolist()
    labelled[0, :2] = 0
    kept = build_codec(occluded='keep').encode(keypoints, labelled)
    assert kept['keypoint_weights'][0].tolist() == [0] * 2 + [1] * 15


def test_raises_only_if_a_labelled_keypoint_is_nan():
    keypoints, visible = random_keypoints()
    keypoints[0, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r'keypoints \[3\]'):
        build_codec().encode(keypoints, visible)
    visible[0, 3] = 0
    assert np.isfinite(build_codec().encode(keypoints, visible)['heatmaps']).all()


def test_all_keypoints_are_labelled_by_default():
    keypoints, visible = random_keypoints()
    expected = build_codec().encode(keypoints, visible)
    encoded = build_codec().encode(keypoints)
    for key, value in expected.items():
        np.testing.assert_array_equal(encoded[key], value)


def test_inputs_are_not_modified():
    keypoints, visible = random_keypoints(margin=20)
    before = keypoints.copy(), visible.copy()
    build_codec().encode(keypoints, visible)
    np.testing.assert_array_equal(keypoints, before[0])
    np.testing.assert_array_equal(visible, before[1])


def test_empty_heatmaps_have_score_zero():
    keypoints, scores = build_codec().decode(np.zeros((17, 64, 48), dtype=np.float32))
    assert (scores == 0).all()
    assert np.isfinite(keypoints).all()


def test_scores_are_clipped():
    maps = np.zeros((2, 64, 48), dtype=np.float32)
    maps[:, 30, 20] = 300
    maps[1, 30, 20] = 51
    _, scores = build_codec(blur_kernel_size=1).decode(maps)
    np.testing.assert_allclose(scores, [[1.0, 0.2]])


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(kernel_size=8), 'codec.kernel_size must be odd'),
        (dict(blur_kernel_size=20), 'codec.blur_kernel_size must be odd.*20'),
        (dict(calibration=(9.0,)), r'codec.calibration must be slope.*\(9.0,\)'),
        (dict(calibration=(9.0, float('nan'))), 'two finite numbers'),
        (dict(occluded='no'), "codec.occluded must be .*'no'"),
        (dict(heatmap_size=(480, 640)), 'heatmap_size must not be larger'),
    ],
)
def test_raises_on_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        build_codec(**wrong)


def test_raises_on_wrong_inputs():
    keypoints, visible = random_keypoints()
    with pytest.raises(ValueError, match='RawVisibility'):
        build_codec(occluded='empty').encode(keypoints, visible)
    with pytest.raises(ValueError, match='one instance per call, got 2'):
        build_codec().encode(np.tile(keypoints, (2, 1, 1)), np.tile(visible, (2, 1)))


def test_is_registered_and_decodes_batches():
    codec = KEYPOINT_CODECS.build(
        dict(
            type='CPNHeatmap',
            input_size=(96, 128),
            heatmap_size=(24, 32),
            kernel_size=5,
        )
    )
    assert codec.support_batch_decoding


@pytest.mark.parametrize('occluded', ['keep', 'empty'])
def test_separable_targets_equal_the_heatmaps(occluded):
    keypoints, labelled = random_keypoints(4, margin=16)
    labelled[0, ::5] = 0
    visibility = encode_visibility(labelled * (1 + (np.arange(17) % 3 > 0)))
    plain, separable = (
        build_codec(occluded=occluded, separable=value).encode(keypoints, visibility)
        for value in (False, True)
    )
    rows, columns = (
        torch.from_numpy(separable[f'target_{name}']) for name in ('rows', 'columns')
    )
    assert rows.shape == (1, 17, 64)
    assert columns.shape == (1, 17, 48)
    np.testing.assert_allclose(
        render_targets(rows, columns)[0], plain['heatmaps'], atol=1e-4
    )
    np.testing.assert_array_equal(
        separable['keypoint_weights'], plain['keypoint_weights']
    )
    assert set(separable) == set(build_codec(separable=True).label_mapping_table)


def test_calibration_changes_only_the_scores():
    maps = torch.from_numpy(np.random.default_rng(5).normal(0, 60, (2, 17, 64, 48)))
    keypoints, scores = build_codec().batch_decode(maps)
    calibrated = build_codec(calibration=(9.0, -3.0)).batch_decode(maps)
    np.testing.assert_array_equal(calibrated[0], keypoints)
    np.testing.assert_allclose(
        calibrated[1], 1 / (1 + np.exp(3 - 9 * np.array(scores)))
    )
