# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.runner import set_random_seed
from mmpose.registry import TRANSFORMS

from rmpe_plugin.datasets.transforms import CPNBBoxCenterScale, RawVisibility
from rmpe_plugin.ops import invert_affine, warp, window_corners


def sample(visibility=(2, 1, 0, 2), image_size=(64, 48)):
    """What a COCO data set hands to the pipeline, for four keypoints."""
    width, height = image_size
    rng = np.random.default_rng(0)
    keypoints = rng.uniform((10, 10), (width - 10, height - 10), (1, 4, 2))
    keypoints = keypoints.astype(np.float32)
    visibility = np.array([visibility], dtype=np.float32)
    raw = np.concatenate((keypoints, visibility[..., None]), axis=2)
    return dict(
        id=7,
        img_path='a.jpg',
        img=rng.integers(0, 255, (height, width, 3)).astype(np.uint8),
        img_shape=(height, width),
        bbox=np.array([[8.0, 6.0, 56.0, 42.0]], dtype=np.float32),
        keypoints=keypoints,
        keypoints_visible=np.minimum(visibility, 1),
        raw_ann_info=dict(keypoints=raw.ravel().tolist()),
        flip_indices=[1, 0, 3, 2],
        upper_body_ids=[0, 1],
        lower_body_ids=[2, 3],
        dataset_keypoint_weights=np.ones(4),
    )


def test_crop_grows_the_box_then_its_short_side():
    results = CPNBBoxCenterScale().transform(sample())
    np.testing.assert_allclose(results['bbox_center'], [[32, 24]])
    np.testing.assert_allclose(results['bbox_scale'], [[48 * 1.2, 36 * 1.3]], rtol=1e-6)
    affine = TRANSFORMS.build(dict(type='TopdownAffine', input_size=(192, 256)))
    results = affine.transform(results)
    np.testing.assert_allclose(results['input_scale'], [57.6, 76.8], rtol=1e-6)
    assert results['img'].shape == (256, 192, 3)


@pytest.mark.parametrize(
    'bbox', [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9], [0, 0, np.nan, 4]]
)
def test_box_without_area_names_the_annotation(bbox):
    results = dict(sample(), bbox=np.array([bbox], dtype=np.float32))
    with pytest.raises(ValueError, match='no area.*instance 7 of a.jpg'):
        CPNBBoxCenterScale().transform(results)


@pytest.mark.parametrize('padding', [(1.2,), (0, 1.3), (1.2, 1.3, 1.0)])
def test_wrong_padding(padding):
    with pytest.raises(ValueError, match='padding must be two factors'):
        CPNBBoxCenterScale(padding)


def test_raw_visibility_tells_hidden_from_seen():
    results = RawVisibility().transform(sample())
    pairs = results['keypoints_visible'][0].tolist()
    assert pairs == [[1, 1], [1, 0], [0, 0], [1, 1]]


def pipeline(flip):
    codec = dict(
        type='CPNHeatmap', input_size=(48, 64), heatmap_size=(12, 16), kernel_size=5
    )
    return Compose(
        [
            TRANSFORMS.build(t)
            for t in (
                dict(type='RawVisibility'),
                dict(type='CPNBBoxCenterScale'),
                dict(type='RandomFlip', prob=float(flip)),
                dict(type='RandomHalfBody', min_total_keypoints=1, prob=1.0),
                dict(type='TopdownAffine', input_size=(48, 64)),
                dict(
                    type='GenerateTarget',
                    multilevel=True,
                    encoder=[dict(codec, hidden='empty'), dict(codec, hidden='keep')],
                ),
                dict(type='PackPoseInputs'),
            )
        ]
    )


@pytest.mark.parametrize('flip', [False, True])
def test_visibility_reaches_the_targets_through_flip_and_half_body(flip):
    packed = pipeline(flip)(deepcopy(sample((2, 1, 1, 0))))['data_samples']
    weights = packed.gt_instance_labels.keypoint_weights
    assert weights.shape == (2, 1, 4)
    seen = packed.gt_fields[0].heatmaps.flatten(1).amax(dim=1) > 0
    kept = packed.gt_fields[1].heatmaps.flatten(1).amax(dim=1) > 0
    order = [1, 0, 3, 2] if flip else [0, 1, 2, 3]
    inside = (weights[1, 0] > 0).tolist()
    assert weights[0, 0].tolist() == [1] * 4
    assert kept.tolist() == inside
    assert not inside[order[3]]
    assert seen.tolist() == [i == order[0] and inside[i] for i in range(4)]
    assert inside[order[0]]


def test_raw_visibility_errors_name_the_culprit():
    broken = sample()
    broken['raw_ann_info']['keypoints'][4] = float('nan')
    with pytest.raises(ValueError, match=r'annotation 7 of a.jpg: keypoints \[1\]'):
        RawVisibility().transform(broken)
    with pytest.raises(ValueError, match='before RandomFlip'):
        RawVisibility().transform(dict(sample(), flip=False))
    with pytest.raises(ValueError, match='no raw_ann_info'):
        RawVisibility().transform(dict(sample(), raw_ann_info=None))
    with pytest.raises(ValueError, match='4 keypoints, the pipeline 3'):
        RawVisibility().transform(dict(sample(), keypoints=np.zeros((1, 3, 2))))


def test_unlabelled_keypoints_may_be_nan():
    results = sample()
    results['raw_ann_info']['keypoints'][6] = float('nan')
    assert RawVisibility().transform(results)['keypoints_visible'][0, 2].sum() == 0


def test_unreadable_image_names_the_file(tmp_path):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(b'not an image')
    load = TRANSFORMS.build(dict(type='LoadImage'))
    with pytest.raises(Exception, match='broken.jpg'):
        load(dict(img_path=str(path)))


CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)


def perturbed(*, rotate=0.0, udp=False, jitter=True, seed=3):
    """The same picture and pipeline, with or without an error in the box."""
    pipeline = [
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal', prob=1.0),
        dict(type='KeepTrueBox'),
        dict(
            type='RandomBBoxTransform',
            shift_prob=float(jitter),
            scale_prob=float(jitter),
            scale_factor=(0.8, 1.25),
            rotate_factor=rotate,
            rotate_prob=1.0,
        ),
        dict(type='TopdownAffine', input_size=(48, 64), use_udp=udp),
        dict(type='TrueWindow', use_udp=udp),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='GenerateCentredTarget', encoder=CODEC),
        dict(type='PackSSTNInputs'),
    ]
    # a smooth picture, larger than any crop
    data = sample(image_size=(200, 200))
    data['bbox'] = data['bbox'] + 60
    data['keypoints'] = data['keypoints'] * 0.2 + 70
    data['img'] = cv2.GaussianBlur(data['img'], (31, 31), 0)
    set_random_seed(seed)
    return Compose(pipeline)(data)


@pytest.mark.parametrize('udp', [False, True])
@pytest.mark.parametrize('rotate', [0.0, 0.1])
def test_true_window_undoes_the_error_of_the_box(rotate, udp):
    # A rotation of nearly nothing draws from the generator as a real one does.
    found = perturbed(rotate=rotate, udp=udp)
    expected = perturbed(rotate=0.0, udp=udp, jitter=False)
    theta = found['data_samples'].theta_gt
    assert theta.dtype == torch.float32
    assert (theta - torch.eye(2, 3)).abs().max() > 0.05
    seen = warp(found['inputs'][None].float(), theta[None], (64, 48))[0]
    x, y = window_corners(invert_affine(theta)).T
    # Pixels of the true crop that the perturbed one has, and not at its rim.
    grid_x, grid_y = torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 64)[:, None]
    inside = (grid_x > x.min() + 0.1) & (grid_x < x.max() - 0.1)
    inside = inside & (grid_y > y.min() + 0.1) & (grid_y < y.max() - 0.1)
    assert inside.float().mean() > 0.5
    error = (seen - expected['inputs'].float()).abs()[:, inside]
    assert error.max() < 3 + 10 * rotate
    assert error.mean() < 0.7 + 2 * rotate


def test_centred_targets_are_those_of_the_true_box():
    found = perturbed()['data_samples']
    expected = perturbed(jitter=False)['data_samples']
    for key in ('gt_fields', 'gt_instance_labels'):
        for name, value in expected.get(key).items():
            torch.testing.assert_close(found.centred.get(key).get(name), value)
    assert not torch.equal(found.gt_fields.heatmaps, found.centred.gt_fields.heatmaps)
    torch.testing.assert_close(expected.theta_gt, torch.eye(2, 3))


def test_a_turned_crop_has_a_turned_true_window():
    """Rotation is an augmentation: the true window differs by shift and scale only."""
    theta = perturbed(rotate=80.0)['data_samples'].theta_gt
    assert theta[0, 1].abs() < 1e-5
    assert theta[1, 0].abs() < 1e-5
    torch.testing.assert_close(theta[0, 0], theta[1, 1])


def test_pack_without_targets_for_a_test_pipeline():
    results = dict(
        sample(), input_size=(48, 64), theta_gt=np.eye(2, 3, dtype=np.float32)
    )
    packed = TRANSFORMS.build(dict(type='PackSSTNInputs')).transform(results)
    assert 'theta_gt' in packed['data_samples']
    assert 'centred' not in packed['data_samples']


def test_true_window_in_the_wrong_place():
    keep, window, crop, flip = (
        TRANSFORMS.build(t)
        for t in (
            dict(type='KeepTrueBox'),
            dict(type='TrueWindow'),
            dict(type='GetBBoxCenterScale'),
            dict(type='RandomFlip', prob=1.0),
        )
    )
    with pytest.raises(ValueError, match='put KeepTrueBox before RandomBBoxTransform'):
        window.transform(sample())
    results = flip.transform(keep.transform(crop.transform(sample())))
    with pytest.raises(ValueError, match='KeepTrueBox must stand after RandomFlip'):
        window.transform(results)
