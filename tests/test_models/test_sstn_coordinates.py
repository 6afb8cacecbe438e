# SPDX-License-Identifier: Apache-2.0
"""The SSTN around heads without heatmaps: SimCC vectors and regressed coordinates."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample

from rmpe_plugin.models.pose_estimators.window_targets import window_targets
from tests.factories import (
    RESNET,
    SSTN_INPUT,
    build_sstn,
    set_stn_bias,
    sstn_crops,
)
from tests.test_deploy.conftest import HEADS

WINDOW = (0.2, 0.05, -0.1, 0.03, 0.15, 0.1)
FLIP_INDICES = [0, 2, 1, 4, 3]
HEIGHT, WIDTH = SSTN_INPUT
SIZE = np.array([WIDTH, HEIGHT])


def build(name, **kwargs):
    """An SSTN and the estimator without it, see ``build_sstn``."""
    sppe = dict(backbone=dict(RESNET, out_indices=(3,)), head=HEADS[name])
    if name in ('rle', 'regression'):
        sppe['neck'] = dict(type='GlobalAveragePooling')
    nets = build_sstn(sppe, **kwargs)
    for net in nets:
        if name in ('rle', 'regression'):
            net.head.fc.bias.data += 0.5  # keypoints in the crop
    return nets


def samples(number, codec=None):
    """Samples whose image is the crop, with targets if there is a codec."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(number):
        sample = PoseDataSample(
            gt_instances=InstanceData(
                bboxes=np.array([[0.0, 0, WIDTH, HEIGHT]]), bbox_scores=np.ones(1)
            ),
            metainfo=dict(
                flip_indices=FLIP_INDICES,
                input_size=(WIDTH, HEIGHT),
                input_center=SIZE / 2,
                input_scale=SIZE,
            ),
        )
        if codec is not None:
            # some are outside of the window, and some outside of the crop
            keypoints = rng.uniform(-10, SIZE + 10, (1, 5, 2)).astype(np.float32)
            visible = np.array([[1, 1, 0, 1, 1]], np.float32)
            sample.crop_keypoints = torch.from_numpy(keypoints)
            sample.gt_instance_labels = labels_of(codec, keypoints, visible)
            sample.centred = PoseDataSample(
                gt_instance_labels=labels_of(codec, keypoints + 3, visible)
            )
            sample.theta_gt = torch.eye(2, 3) * 0.9
        made.append(sample)
    return made


def labels_of(codec, keypoints, visible):
    return InstanceData(**codec.encode(keypoints, visible)).to_tensor()


def poses(net, crops):
    """Keypoints (B, K, 2) and scores (B, K) in the frame of the input."""
    with torch.no_grad():
        results = net(crops, samples(len(crops)), mode='predict')
    return (
        np.concatenate([r.pred_instances[key] for r in results])
        for key in ('keypoints', 'keypoint_scores')
    )


@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('name', HEADS)
def test_keypoints_of_the_window_are_mapped_one_by_one(name, flip_test):
    sstn, plain = (n.eval() for n in build(name, test_cfg=dict(flip_test=flip_test)))
    set_stn_bias(sstn, *WINDOW)
    torch.nn.init.normal_(sstn.stn.fc.weight, std=0.02)
    crops = sstn_crops(3)
    keypoints, scores = poses(sstn, crops)

    thetas = sstn.stn(crops).detach()
    assert (thetas[0] - thetas[1]).abs().max() > 1e-3
    grid = F.affine_grid(thetas, crops.shape, align_corners=True)
    windows = F.grid_sample(crops, grid, align_corners=True)
    in_window, expected_scores = poses(plain, windows)
    for person, theta in enumerate(thetas.double().numpy()):
        for joint, (x, y) in enumerate(np.float64(in_window[person])):
            u, v = 2 * x / (WIDTH - 1) - 1, 2 * y / (HEIGHT - 1) - 1
            u, v = theta @ np.array([u, v, 1.0])
            expected = (u + 1) / 2 * (WIDTH - 1), (v + 1) / 2 * (HEIGHT - 1)
            np.testing.assert_allclose(keypoints[person, joint], expected, atol=1e-3)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    assert np.abs(keypoints - in_window).max() > 1


@pytest.mark.parametrize('name', HEADS)
def test_equals_the_plain_estimator_at_identity(name):
    crops = sstn_crops()
    sstn, plain = (n.eval() for n in build(name, test_cfg=dict(flip_test=True)))
    for actual, expected in zip(poses(sstn, crops), poses(plain, crops), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)
    sstn, plain = build(name, window_loss=dict(type='WindowCornerLoss'))
    targets = samples(2, sstn.head.decoder)
    losses = sstn.train()(crops, targets, mode='loss')
    expected = plain.train()(crops, targets, mode='loss')
    torch.testing.assert_close(
        losses['loss_kpt'], expected['loss_kpt'], rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize('name', ['simcc', 'rle'])
def test_targets_are_those_of_the_keypoints_in_the_window(name):
    codec = KEYPOINT_CODECS.build(HEADS[name]['decoder'])
    batch = samples(6, codec)
    batch[0].crop_keypoints[0, 2] = torch.nan  # not labelled
    theta = torch.eye(2, 3) + 0.1 * torch.randn(6, 2, 3, generator=torch.manual_seed(0))
    actual = window_targets(codec, batch, theta, SSTN_INPUT).gt_instance_labels
    dropped = 0
    for i, sample in enumerate(batch):
        matrix = np.vstack((theta[i].double().numpy(), (0, 0, 1)))
        weights = sample.gt_instance_labels.keypoint_weights[0].numpy()
        for k in np.flatnonzero(weights):
            crop = sample.crop_keypoints[0, k].double().numpy()
            point = np.linalg.solve(matrix, [*(2 * crop / (SIZE - 1) - 1), 1])[:2]
            in_window = (point + 1) / 2 * (SIZE - 1)
            expected = labels_of(codec, in_window[None, None], np.ones((1, 1)))
            assert actual.keypoint_weights[i, k] == expected.keypoint_weights[0, 0]
            if expected.keypoint_weights == 0:
                dropped += 1
                continue
            for key in set(expected.keys()) - {'keypoint_weights'}:
                torch.testing.assert_close(
                    actual[key][i, k], expected[key][0, 0].float(), atol=1e-5, rtol=0
                )
        assert (actual.keypoint_weights[i].numpy()[weights == 0] == 0).all()
    assert dropped > 0
    assert all(values.isfinite().all() for values in actual.values())


@pytest.mark.parametrize('name', ['rtmcc', 'rle'])
def test_main_loss_trains_the_sppe_and_the_other_losses_the_stn(name):
    losses = dict(parallel=dict(), window_loss=dict(type='WindowCornerLoss'))
    sstn, _ = build(name, **losses)
    sstn.init_parallel_sppe()
    set_stn_bias(sstn, *WINDOW)
    values = sstn.train()(sstn_crops(4), samples(4, sstn.head.decoder), mode='loss')
    trained = {}
    for loss in ('loss_kpt', 'parallel.loss_kpt', 'loss_window'):
        sstn.zero_grad()
        values[loss].backward(retain_graph=True)
        stn, sppe = (x.grad for x in (sstn.stn.fc.bias, sstn.backbone.conv1.weight))
        trained[loss] = [g is not None and bool((g != 0).any()) for g in (stn, sppe)]
    assert trained == {
        'loss_kpt': [False, True],
        'parallel.loss_kpt': [True, False],
        'loss_window': [True, False],
    }


def test_raises_if_nothing_trains_the_stn_or_the_keypoints_are_missing():
    sstn, _ = build('rtmcc')
    codec = sstn.head.decoder
    with pytest.raises(ValueError, match='parallel or model.window_loss must be set'):
        sstn.train()(sstn_crops(), samples(2, codec), mode='loss')
    sstn, _ = build('rtmcc', window_loss=dict(type='WindowCornerLoss'))
    batch = samples(2, codec)
    del batch[0].crop_keypoints
    with pytest.raises(ValueError, match='put GenerateSSTNTarget and PackSSTNInputs'):
        sstn.train()(sstn_crops(), batch, mode='loss')


def test_raises_on_settings_that_do_not_suit_the_head():
    with pytest.raises(ValueError, match="sdtn must be 'keypoints' with a RTMCCHead"):
        build('rtmcc', test_cfg=dict(sdtn='heatmaps'))
    head = dict(HEADS['rtmcc'], decoder=None)
    with pytest.raises(ValueError, match='model.head.decoder is missing'):
        build_sstn(dict(backbone=dict(RESNET, out_indices=(3,)), head=head))
    with pytest.raises(ValueError, match='output_heatmaps needs heatmaps'):
        build('rle', test_cfg=dict(output_heatmaps=True))


def test_tensor_mode_returns_the_outputs_in_the_window():
    sstn, plain = (net.eval() for net in build('rtmcc'))
    for actual, expected in zip(
        sstn(sstn_crops(), None, mode='tensor'),
        plain(sstn_crops(), None, mode='tensor'),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
