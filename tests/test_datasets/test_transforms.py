# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.runner import set_random_seed
from mmpose.registry import TRANSFORMS

from rmpe_plugin.datasets.transforms import (
    CPNBBoxCenterScale,
    GroundTruthWindow,
    RawVisibility,
    check_sstn_pipeline,
)
from rmpe_plugin.ops import (
    decode_visibility,
    invert_affine,
    warp,
    window_corners,
)
from tests.factories import coco_results


def test_cpn_scale_pads_the_box_then_extends_its_short_side():
    results = CPNBBoxCenterScale().transform(coco_results())
    np.testing.assert_allclose(results['bbox_center'], [[32, 24]])
    np.testing.assert_allclose(results['bbox_scale'], [[48 * 1.2, 36 * 1.3]], rtol=1e-6)
    affine = TRANSFORMS.build(dict(type='TopdownAffine', input_size=(192, 256)))
    results = affine.transform(results)
    np.testing.assert_allclose(results['input_scale'], [57.6, 76.8], rtol=1e-6)
    assert results['img'].shape == (256, 192, 3)


@pytest.mark.parametrize(
    'bbox', [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9], [0, 0, np.nan, 4]]
)
def test_raises_on_boxes_without_area(bbox):
    results = dict(coco_results(), bbox=np.array([bbox], dtype=np.float32))
    with pytest.raises(ValueError, match='no area.*instance 7 of a.jpg'):
        CPNBBoxCenterScale().transform(results)


@pytest.mark.parametrize('padding', [(1.2,), (0, 1.3), (1.2, 1.3, 1.0)])
def test_raises_on_wrong_padding(padding):
    with pytest.raises(ValueError, match='padding must be two factors'):
        CPNBBoxCenterScale(padding)


@pytest.mark.parametrize('use_udp', [False, True])
def test_ground_truth_window_in_closed_form(use_udp):
    """A box's sides are at the outer borders of the pixels, of UDP at their centres."""
    results = dict(
        bbox_center=np.array([[50.0, 60.0]]),
        bbox_scale=np.array([[60.0, 80.0]]),
        gt_center=np.array([[47.0, 66.0]]),
        gt_scale=np.array([[48.0, 64.0]]),
        gt_flip=False,
        input_size=(48, 64),
    )
    theta = GroundTruthWindow(use_udp).transform(results)['theta_gt']
    np.testing.assert_allclose(np.diag(theta[:, :2]), [0.8, 0.8], rtol=1e-5)
    pixels = np.array([48, 64])
    # Crop pixels for each image pixel, and the crop's middle, in pixels.
    density = (pixels - use_udp) / [60.0, 80.0]
    middle = (pixels - use_udp) / 2
    moved = 0.8 * ((pixels - 1) / 2 - middle) + middle + density * [-3.0, 6.0]
    expected = moved / ((pixels - 1) / 2) - 1
    np.testing.assert_allclose(theta[:, 2], expected, rtol=1e-5, atol=1e-6)


def test_raw_visibility_distinguishes_occluded_and_visible():
    results = RawVisibility().transform(coco_results())
    labelled, exists = results['keypoints_visible'][0].T
    assert (labelled > 0).tolist() == [True, True, False, True]
    assert decode_visibility(labelled).tolist() == [True, False, False, True]
    assert exists.tolist() == [1] * 4


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
                    encoder=[
                        dict(codec, occluded='empty'),
                        dict(codec, occluded='keep'),
                    ],
                ),
                dict(type='PackPoseInputs'),
            )
        ]
    )


@pytest.mark.parametrize('flip', [False, True])
def test_visibility_is_kept_by_flip_and_half_body(flip):
    packed = pipeline(flip)(deepcopy(coco_results((2, 1, 1, 0))))['data_samples']
    weights = packed.gt_instance_labels.keypoint_weights
    assert weights.shape == (2, 1, 4)
    visible = packed.gt_fields[0].heatmaps.flatten(1).amax(dim=1) > 0
    labelled = packed.gt_fields[1].heatmaps.flatten(1).amax(dim=1) > 0
    order = [1, 0, 3, 2] if flip else [0, 1, 2, 3]
    inside = (weights[1, 0] > 0).tolist()
    assert weights[0, 0].tolist() == [1] * 4
    assert labelled.tolist() == inside
    assert not inside[order[3]]
    assert visible.tolist() == [i == order[0] and inside[i] for i in range(4)]
    assert inside[order[0]]


def test_raw_visibility_raises_on_wrong_annotations_and_pipelines():
    invalid = coco_results()
    invalid['raw_ann_info']['keypoints'][4] = float('nan')
    with pytest.raises(ValueError, match=r'annotation 7 of a.jpg: keypoints \[1\]'):
        RawVisibility().transform(invalid)
    with pytest.raises(ValueError, match='before RandomFlip'):
        RawVisibility().transform(dict(coco_results(), flip=False))
    with pytest.raises(ValueError, match='no raw_ann_info'):
        RawVisibility().transform(dict(coco_results(), raw_ann_info=None))
    with pytest.raises(ValueError, match='4 keypoints, the pipeline 3'):
        RawVisibility().transform(dict(coco_results(), keypoints=np.zeros((1, 3, 2))))
    # The same number in another order, after KeypointConverter.
    with pytest.raises(ValueError, match='before any transform that changes the key'):
        RawVisibility().transform(
            dict(coco_results(), keypoints_visible=np.ones((1, 4, 2)))
        )


def test_unlabelled_keypoints_may_be_nan():
    results = coco_results()
    results['raw_ann_info']['keypoints'][6] = float('nan')
    assert RawVisibility().transform(results)['keypoints_visible'][0, 2, 0] == 0


def test_raises_on_an_unreadable_image(tmp_path):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(b'not an image')
    load = TRANSFORMS.build(dict(type='LoadImage'))
    with pytest.raises(Exception, match='broken.jpg'):
        load(dict(img_path=str(path)))


CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)
UDP = dict(type='UDPHeatmap')


def perturbed(*, rotate=0.0, udp=False, jitter=True, seed=3):
    """Packed inputs of one image, with or without a perturbed box."""
    pipeline = [
        dict(type='SSTNBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal', prob=1.0),
        dict(
            type='RandomBBoxTransform',
            shift_prob=float(jitter),
            scale_prob=float(jitter),
            scale_factor=(0.8, 1.25),
            rotate_factor=rotate,
            rotate_prob=1.0,
        ),
        dict(type='TopdownAffine', input_size=(48, 64), use_udp=udp),
        dict(type='GenerateSSTNTarget', encoder=dict(CODEC, **UDP) if udp else CODEC),
        dict(type='PackSSTNInputs'),
    ]
    # a smooth image, larger than any crop
    data = coco_results(image_size=(200, 200))
    data['bbox'] = data['bbox'] + 60
    data['keypoints'] = data['keypoints'] * 0.2 + 70
    data['img'] = cv2.GaussianBlur(data['img'], (31, 31), 0)
    set_random_seed(seed)
    return Compose(pipeline)(data)


@pytest.mark.parametrize('udp', [False, True])
@pytest.mark.parametrize('rotate', [0.0, 0.1])
def test_gt_window_restores_the_crop_of_the_gt_box(rotate, udp):
    # A rotation of nearly 0 uses as many random numbers as a larger one.
    results = perturbed(rotate=rotate, udp=udp)
    expected = perturbed(rotate=0.0, udp=udp, jitter=False)
    theta = results['data_samples'].theta_gt
    assert theta.dtype == torch.float32
    assert (theta - torch.eye(2, 3)).abs().max() > 0.05
    warped = warp(results['inputs'][None].float(), theta[None], (64, 48))[0]
    x, y = window_corners(invert_affine(theta)).T
    # pixels of the ground-truth crop inside the perturbed crop, without its border
    grid_x, grid_y = torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 64)[:, None]
    inside = (grid_x > x.min() + 0.1) & (grid_x < x.max() - 0.1)
    inside = inside & (grid_y > y.min() + 0.1) & (grid_y < y.max() - 0.1)
    assert inside.float().mean() > 0.5
    error = (warped - expected['inputs'].float()).abs()[:, inside]
    assert error.max() < 3 + 10 * rotate
    assert error.mean() < 0.7 + 2 * rotate


def test_centred_targets_equal_targets_of_the_gt_box():
    sample = perturbed()['data_samples']
    expected = perturbed(jitter=False)['data_samples']
    for key in ('gt_fields', 'gt_instance_labels'):
        for name, value in expected.get(key).items():
            torch.testing.assert_close(sample.centred.get(key).get(name), value)
    assert not torch.equal(sample.gt_fields.heatmaps, sample.centred.gt_fields.heatmaps)
    torch.testing.assert_close(expected.theta_gt, torch.eye(2, 3))


def test_gt_window_has_the_rotation_of_the_crop():
    """Rotation is an augmentation, so theta is a shift and a scale."""
    theta = perturbed(rotate=80.0)['data_samples'].theta_gt
    assert theta[0, 1].abs() < 1e-5
    assert theta[1, 0].abs() < 1e-5
    torch.testing.assert_close(theta[0, 0], theta[1, 1])


def test_packs_samples_without_targets():
    results = dict(
        coco_results(), input_size=(48, 64), theta_gt=np.eye(2, 3, dtype=np.float32)
    )
    packed = TRANSFORMS.build(dict(type='PackSSTNInputs')).transform(results)
    assert 'theta_gt' in packed['data_samples']
    assert 'centred' not in packed['data_samples']


def test_gt_window_needs_the_ground_truth_box_and_the_crop():
    window = GroundTruthWindow()
    with pytest.raises(ValueError, match='replace GetBBoxCenterScale by SSTNBBox'):
        window.transform(coco_results())
    results = CPNBBoxCenterScale().transform(coco_results())
    with pytest.raises(ValueError, match='must be after TopdownAffine'):
        window.transform(results)


def test_packs_the_keypoints_of_the_crop():
    sample = perturbed()['data_samples']
    labelled = [0, 1, 2]  # the image is flipped
    x, y = (sample.crop_keypoints[0, labelled] / 4).round().long().T
    assert (sample.gt_fields.heatmaps[labelled, y, x] > 0.5).all()


SSTN_PIPELINE = dict(
    crop=dict(type='SSTNBBoxCenterScale'),
    flip=dict(type='RandomFlip'),
    half_body=dict(type='RandomHalfBody', prob=0.0),
    jitter=dict(type='RandomBBoxTransform'),
    affine=dict(type='TopdownAffine', input_size=(48, 64)),
    target=dict(type='GenerateSSTNTarget', encoder=CODEC),
    pack=dict(type='PackSSTNInputs'),
)


def check(steps):
    """Check :data:`SSTN_PIPELINE` in the order and with the changes of ``steps``."""
    check_sstn_pipeline(
        [TRANSFORMS.build({**SSTN_PIPELINE[name], **t}) for name, t in steps.items()]
    )


@pytest.mark.parametrize(
    'steps',
    [
        'crop flip half_body jitter affine target pack',
        'flip crop jitter affine target pack',
        'crop jitter flip affine target pack',
        'crop affine target pack',
    ],
)
def test_accepts_orders_that_work(steps):
    check({name: {} for name in steps.split()})


@pytest.mark.parametrize(
    ('steps', 'changes', 'message'),
    [
        ('jitter crop affine target pack', {},
         'order for an SSTN is SSTNBBox.*, RandomBBox.*, got RandomBBox.*, SSTNBBox'),
        ('crop affine jitter target pack', {}, 'got SSTNBBox.*, TopdownAffine, Random'),
        ('crop target affine pack', {}, 'got SSTNBBox.*, GenerateSSTNTarget, TopdownA'),
        ('crop affine pack target', {}, 'PackSSTNInputs, GenerateSSTNTarget$'),
        ('crop jitter affine target', {}, 'needs one PackSSTNInputs, got 0'),
        ('crop jitter target pack', {}, 'needs one TopdownAffine, got 0'),
        ('crop affine target pack', dict(crop='GetBBoxCenterScale'),
         'needs SSTNBBoxCenterScale in place of GetBBoxCenterScale'),
        ('crop affine target pack', dict(target='GenerateTarget'),
         'needs GenerateSSTNTarget in place of GenerateTarget'),
        ('crop affine target pack', dict(pack='PackPoseInputs'),
         'needs PackSSTNInputs in place of PackPoseInputs'),
    ],
)  # fmt: skip
def test_raises_on_orders_that_do_not_work(steps, changes, message):
    changes = {name: dict(type=kind) for name, kind in changes.items()}
    with pytest.raises(ValueError, match=message):
        check({name: changes.get(name, {}) for name in steps.split()})


def test_raises_on_a_half_body_crop_and_on_a_crop_that_does_not_suit_the_codec():
    steps = dict.fromkeys(SSTN_PIPELINE, {})
    with pytest.raises(ValueError, match='RandomHalfBody moves the crop'):
        check(steps | dict(half_body=dict(prob=0.3)))
    with pytest.raises(ValueError, match='use_udp must be False .*MSRA.*, got True'):
        check(steps | dict(affine=dict(use_udp=True)))
    with pytest.raises(ValueError, match='use_udp must be True .*UDP.*, got False'):
        check(steps | dict(target=dict(encoder=dict(CODEC, **UDP))))


def test_proposals_must_come_before_the_crop():
    proposal = TRANSFORMS.build(dict(type='PoseGuidedProposal', model='alphapose'))
    steps = [TRANSFORMS.build(t) for t in SSTN_PIPELINE.values()]
    check_sstn_pipeline([proposal, *steps])
    with pytest.raises(ValueError, match='order for an SSTN is PoseGuidedProposal'):
        check_sstn_pipeline([steps[0], proposal, *steps[1:]])
