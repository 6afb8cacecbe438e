# SPDX-License-Identifier: Apache-2.0
"""The SSTN around the heads of MMPose and CPNHead."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.optim import AmpOptimWrapper
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS

from rmpe_plugin.models.pose_estimators import sstn as module
from rmpe_plugin.models.pose_estimators.sstn import _clip_to_median_norm
from rmpe_plugin.ops import invert_affine, warp
from tests.factories import (
    RESNET,
    SPPES,
    SSTN_INPUT,
    SSTN_KEYPOINTS,
    STN,
    build_sstn,
    set_stn_bias,
    sstn_crops,
    sstn_samples,
)


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('sppe', SPPES)
def test_equals_plain_estimator_at_identity(sppe, flip):
    sstn, plain = build_sstn(sppe, test_cfg=dict(flip_test=flip, output_heatmaps=True))
    # In float32, batch norm over few pixels amplifies the rounding of the warp by 100.
    x = sstn_crops().double()
    for net in (sstn, plain):
        net.double().train()
    expected = plain(x, sstn_samples(sppe), mode='loss')
    losses = sstn(x, sstn_samples(sppe), mode='loss')
    assert losses.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(losses[name], expected[name], rtol=1e-4, atol=1e-6)

    for net in (sstn, plain):
        net.eval()
    maps, expected_maps = (net(x, None, mode='tensor') for net in (sstn, plain))
    assert type(maps) is type(expected_maps)
    for a, b in zip(maps, expected_maps, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)

    with torch.no_grad():
        expected = plain(x, sstn_samples(sppe), mode='predict')
        predicted = sstn(x, sstn_samples(sppe), mode='predict')
    for a, b in zip(predicted, expected, strict=True):
        pose, other = a.pred_instances, b.pred_instances
        np.testing.assert_allclose(pose.keypoints, other.keypoints, atol=1e-4)
        np.testing.assert_allclose(
            pose.keypoint_scores, other.keypoint_scores, atol=1e-4
        )
        np.testing.assert_allclose(pose.theta, np.eye(2, 3)[None])
        torch.testing.assert_close(
            a.pred_fields.heatmaps, b.pred_fields.heatmaps, rtol=1e-4, atol=1e-4
        )


def test_window_is_black_outside_the_crop():
    """As TopdownAffine, which fills with pixel value 0 outside the image."""
    norm = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
    settings = dict(SPPES['heatmap'], type='SSTNPoseEstimator', stn=STN)
    settings['data_preprocessor'] = dict(type='PoseDataPreprocessor', **norm)
    sstn = MODELS.build(settings).eval()
    set_stn_bias(sstn, 0.0, 0.0, 0.3)
    height, width = SSTN_INPUT
    pixels = torch.full((3, height, width), 200, dtype=torch.uint8)
    batch = dict(inputs=[pixels], data_samples=sstn_samples('heatmap', 1))
    inputs = sstn.data_preprocessor(batch)['inputs']
    warped, _ = sstn.transform(inputs)
    warped = warped * sstn.data_preprocessor.std + sstn.data_preprocessor.mean
    torch.testing.assert_close(
        warped[..., -4:], torch.zeros(1, 3, height, 4), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        warped[..., :32], torch.full((1, 3, height, 32), 200.0), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize('sppe', SPPES)
def test_tensor_mode_warps_every_stage_back_to_the_crop(sppe):
    sstn, plain = build_sstn(sppe)
    sstn.eval(), plain.eval()
    set_stn_bias(sstn, 0.1, 0.05, 0.2, -0.03, -0.1, 0.1)
    x = sstn_crops()
    theta = sstn.stn(x)
    in_window = plain(warp(x, theta, SSTN_INPUT), None, mode='tensor')
    in_crop = sstn(x, None, mode='tensor')
    assert type(in_window) is type(in_crop)
    if isinstance(in_window, torch.Tensor):
        in_window, in_crop = [in_window], [in_crop]
    for stage, heatmaps in zip(in_window, in_crop, strict=True):
        last = theta.new_tensor([0, 0, 1]).expand(2, 1, 3)
        gamma = torch.linalg.inv(torch.cat((theta, last), dim=1))[:, :2]
        grid = F.affine_grid(gamma, stage.shape, align_corners=True)
        expected = F.grid_sample(stage, grid, align_corners=True)
        torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-4)
        assert (heatmaps - stage).abs().max() > 1e-3


class Identity(BaseModule):
    """A backbone whose only level is the image itself."""

    def forward(self, x):
        return (x,)


class SubsamplingHead(HeatmapHead):
    """A head whose heatmaps are the image's channels at a quarter of its size."""

    def __init__(self, corners, decoder):
        super().__init__(
            3, 3, deconv_out_channels=None, final_layer=None, decoder=decoder
        )
        self.corners = corners

    def forward(self, feats):
        x = feats[-1]
        if self.corners:
            size = (x.shape[-2] // 4, x.shape[-1] // 4)
            return F.interpolate(x, size, mode='bilinear', align_corners=True)
        return x[..., ::4, ::4]


CODECS = dict(
    # Pixel x of the heatmap is pixel 4 x of the crop. DARK decodes without offsets of a
    # quarter of a pixel.
    msra=dict(
        type='MSRAHeatmap',
        input_size=(96, 128),
        heatmap_size=(24, 32),
        sigma=2,
        unbiased=True,
    ),
    # Corner pixels are aligned, as in the SDTN.
    udp=dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2),
)


def gaussian_images(points):
    """Images (B, 3, 128, 96) with a Gaussian at a point (B, 3, 2) in each channel."""
    x, y = torch.arange(96.0), torch.arange(128.0)[:, None]
    distance = (x - points[..., 0, None, None]) ** 2
    distance = distance + (y - points[..., 1, None, None]) ** 2
    return torch.exp(-distance / (2 * 8**2))


def gaussian_net(codec, **test_cfg):
    sppe = dict(
        backbone=dict(type=Identity),
        head=dict(type=SubsamplingHead, corners=codec == 'udp', decoder=CODECS[codec]),
    )
    sstn, _ = build_sstn(sppe, test_cfg=test_cfg)
    set_stn_bias(sstn, 0.12, 0.06, 0.1, -0.05, -0.08, 0.07)
    return sstn.eval()


def gaussian_samples(batch):
    samples = sstn_samples('heatmap', batch)
    for sample in samples:
        sample.set_metainfo(
            dict(
                flip_indices=[0, 1, 2],
                input_size=(96, 128),
                input_center=np.array([48.0, 64]),
                input_scale=np.array([96.0, 128]),
            )
        )
    return samples


@pytest.mark.parametrize(
    ('codec', 'flip', 'limit'),
    # Limits in heatmap pixels. MSRA does not align corner pixels (see SDTN), and its
    # mirrored heatmaps are shifted by a pixel, for which shift_heatmap exists.
    [('udp', False, 0.1), ('udp', True, 0.1), ('msra', False, 0.5)],
)
def test_both_sdtn_modes_decode_the_ground_truth(codec, flip, limit):
    points = 30 + 36 * torch.rand(4, 3, 2, generator=torch.manual_seed(0))
    points[..., 1] += 20
    x = gaussian_images(points)
    keypoints = {}
    for mode in ('heatmaps', 'keypoints'):
        net = gaussian_net(codec, flip_test=flip, sdtn=mode)
        with torch.no_grad():
            results = net(x, gaussian_samples(4), mode='predict')
        keypoints[mode] = np.concatenate([r.pred_instances.keypoints for r in results])
    expected = points.numpy()
    if codec == 'udp':  # the crop's width is the distance of its corner pixels
        expected = expected * np.array([96 / 95, 128 / 127])
    for predicted in keypoints.values():
        assert np.abs(predicted - expected).max() < 4 * limit
    assert np.abs(keypoints['heatmaps'] - keypoints['keypoints']).max() < 4 * limit


def test_flip_test_has_a_second_window_for_the_mirrored_crop():
    test_cfg = dict(flip_test=True, output_heatmaps=True)
    sstn, plain = build_sstn('heatmap', test_cfg=test_cfg)
    sstn.eval(), plain.eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(sstn.stn.fc.weight, std=0.05)
    x = sstn_crops()
    thetas = [sstn.stn(view) for view in (x, x.flip(-1))]
    assert (thetas[0] - thetas[1]).abs().max() > 1e-3
    views = []
    for view, theta in zip((x, x.flip(-1)), thetas, strict=True):
        maps = plain(warp(view, theta, SSTN_INPUT), None, mode='tensor')
        views.append(warp(maps, invert_affine(theta), (24, 16)))
    expected = (views[0] + views[1].flip(-1)[:, [0, 2, 1, 4, 3]]) / 2
    samples = sstn(x, sstn_samples('heatmap'), mode='predict')
    for sample, maps, theta in zip(samples, expected, thetas[0], strict=True):
        torch.testing.assert_close(sample.pred_fields.heatmaps, maps)
        np.testing.assert_allclose(sample.pred_instances.theta[0], theta.detach())


@pytest.mark.parametrize('output_global', [False, True])
def test_test_time_computes_only_the_decoded_stages_of_a_cpn(output_global):
    sstn, _ = build_sstn('cpn', test_cfg=dict(output_global=output_global))
    sstn.eval()
    called = []
    for predictor in sstn.head.global_net.predictors:
        predictor.register_forward_hook(lambda *_: called.append('global'))
    sstn.head.refine_net.register_forward_hook(lambda *_: called.append('refine'))
    samples = sstn(sstn_crops(), sstn_samples('cpn'), mode='predict')
    assert called == ['global'] * 4 * output_global + ['refine']
    assert ('global_keypoints' in samples[0].pred_instances) == output_global


def test_gradient_of_theta_is_clipped_to_the_median_norm():
    gradient = torch.randn(5, 2, 3, generator=torch.manual_seed(0))
    gradient[1] *= 100
    gradient[2] = 0
    norm = gradient.flatten(1).norm(dim=1)
    clipped = _clip_to_median_norm(gradient)
    median = norm.sort().values[2]
    torch.testing.assert_close(
        clipped.flatten(1).norm(dim=1), norm.clamp(max=median), rtol=1e-5, atol=0
    )
    cosine = F.cosine_similarity(clipped.flatten(1), gradient.flatten(1))
    torch.testing.assert_close(cosine[[0, 1, 3, 4]], torch.ones(4))
    # The scale of an AMP scaler does not matter.
    torch.testing.assert_close(_clip_to_median_norm(65536 * gradient), 65536 * clipped)


def test_samples_without_gradient_do_not_count_for_the_median():
    gradient = torch.zeros(5, 2, 3)
    gradient[1], gradient[3] = 1.0, 100.0
    clipped = _clip_to_median_norm(gradient)
    torch.testing.assert_close(clipped[[1, 3]], torch.ones(2, 2, 3))
    assert (clipped[[0, 2, 4]] == 0).all()
    assert (_clip_to_median_norm(torch.zeros(3, 2, 3)) == 0).all()
    assert _clip_to_median_norm(torch.zeros(0, 2, 3)).shape == (0, 2, 3)


def test_trains_on_unclipped_gradients():
    def fc_gradient(**settings):
        sstn, _ = build_sstn('heatmap', **settings)
        gradients = []
        sstn.stn.register_full_backward_hook(
            lambda module, grad_input, grad_output: gradients.append(grad_output[0])
        )
        losses = sstn.train()(sstn_crops(4), sstn_samples('heatmap', 4), mode='loss')
        losses['loss_kpt'].backward()
        return gradients[0]

    raw = fc_gradient(clip_gradient=False)
    norm = raw.flatten(1).norm(dim=1)
    assert norm.max() > 1.5 * norm.median()
    torch.testing.assert_close(fc_gradient(), _clip_to_median_norm(raw))


def test_gradient_of_theta_is_clipped_in_training():
    sstn, _ = build_sstn('heatmap')
    sstn.train()
    gradients = []
    set_stn_bias(sstn, 0.1, 0.05, 0.1)
    sstn.stn.fc.register_full_backward_hook(
        lambda module, grad_input, grad_output: gradients.append(grad_output[0])
    )
    losses = sstn(sstn_crops(4), sstn_samples('heatmap', 4), mode='loss')
    losses['loss_kpt'].backward()
    # The slope of the bounds is the same for all samples, so their limit is too.
    slope = 1 - torch.tanh(sstn.stn.fc.bias / sstn.stn.bounds) ** 2
    norm = (gradients[0] / slope).norm(dim=1).sort().values
    torch.testing.assert_close(norm[1:], norm[1].expand(3), rtol=1e-4, atol=0)
    assert norm[0] < norm[1]


def test_window_loss_is_the_mean_distance_of_corners():
    sstn, _ = build_sstn(
        'heatmap', window_loss=dict(type='WindowCornerLoss', loss_weight=2.0)
    )
    set_stn_bias(sstn, 0.1, 0.05, 0.1)
    x, batch = sstn_crops(), sstn_samples('heatmap')
    loss = sstn.train()(x, batch, mode='loss')['loss_window']
    theta = sstn.stn(x).detach()
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    total = 0.0
    for t, sample in zip(theta, batch, strict=True):
        for corner in corners:
            a, b = (m[:, :2] @ corner + m[:, 2] for m in (t, sample.theta_gt))
            total += float(((a - b) ** 2).sum() ** 0.5)
    assert loss.item() == pytest.approx(2 * total / 8, rel=1e-5)
    loss.backward()
    assert sstn.backbone.conv1.weight.grad is None


def test_window_loss_has_a_finite_gradient_at_its_minimum():
    loss = MODELS.build(dict(type='WindowCornerLoss'))
    theta = torch.eye(2, 3)[None].requires_grad_()
    loss(theta, torch.eye(2, 3)[None]).backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize(
    ('missing', 'message'),
    [
        ('parallel_sppe', 'ParallelSPPEHook'),
        ('centred', 'centre-located.*GenerateSSTNTarget'),
        ('theta_gt', 'window_loss.*GenerateSSTNTarget'),
    ],
)
def test_raises_if_a_loss_lacks_its_input(missing, message):
    window_loss = dict(type='WindowCornerLoss')
    sstn, _ = build_sstn('heatmap', parallel=dict(), window_loss=window_loss)
    batch = sstn_samples('heatmap')
    if missing != 'parallel_sppe':
        sstn.init_parallel_sppe()
        for sample in batch:
            delattr(sample, missing)
    with pytest.raises(ValueError, match=message):
        sstn.train()(sstn_crops(), batch, mode='loss')


def test_raises_on_wrong_settings():
    with pytest.raises(ValueError, match='model.head is missing'):
        MODELS.build(dict(type='SSTNPoseEstimator', backbone=RESNET))
    with pytest.raises(ValueError, match="'loss_weight' and 'checkpoint', got .*'wei"):
        build_sstn('heatmap', parallel=dict(weight=1))
    with pytest.raises(ValueError, match="flip_mode must be 'heatmap', got 'offset'"):
        build_sstn('heatmap', test_cfg=dict(flip_mode='offset'))
    with pytest.raises(ValueError, match="test_cfg.sdtn must be one of .*'points'"):
        build_sstn('heatmap', test_cfg=dict(sdtn='points'))
    head = dict(
        SPPES['heatmap']['head'],
        out_channels=3 * SSTN_KEYPOINTS,
        decoder=dict(
            type='UDPHeatmap',
            input_size=(64, 96),
            heatmap_size=(16, 24),
            heatmap_type='combined',
        ),
    )
    with pytest.raises(ValueError, match="heatmap_type must be 'gaussian', got 'comb"):
        build_sstn(dict(SPPES['heatmap'], head=head))
    for output in ('output_heatmaps', 'output_global'):
        with pytest.raises(ValueError, match=f'{output} needs heatmaps and'):
            build_sstn('heatmap', test_cfg={'sdtn': 'keypoints', output: True})


def test_raises_on_an_unknown_head_without_heatmaps():
    head = dict(
        type='DSNTHead',
        in_channels=64,
        in_featuremap_size=(2, 3),
        num_joints=SSTN_KEYPOINTS,
        decoder=None,
    )
    sstn, _ = build_sstn(dict(backbone=dict(RESNET, out_indices=(3,)), head=head))
    with pytest.raises(TypeError, match=r'heatmaps \(B, K, H, W\), got'):
        sstn(sstn_crops(), None, mode='tensor')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_changes_losses_by_rounding_only(dtype):
    sstn, _ = build_sstn('cpn', parallel=dict())
    sstn.init_parallel_sppe()
    set_stn_bias(sstn, 0.1, 0.0, 0.1)
    sstn.train()
    expected = sstn(sstn_crops(), sstn_samples('cpn'), mode='loss')
    with torch.autocast('cpu', dtype=dtype):
        losses = sstn(sstn_crops(), sstn_samples('cpn'), mode='loss')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    for name in expected:
        if 'loss' in name:
            torch.testing.assert_close(
                losses[name].float(), expected[name], rtol=0.1, atol=0.01
            )
    assert all(p.grad is None or p.grad.isfinite().all() for p in sstn.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_amp_training_steps():
    sstn, _ = build_sstn('cpn', parallel=dict())
    sstn.cuda().train()
    sstn.init_parallel_sppe()
    optimizer = torch.optim.Adam(sstn.parameters(), lr=1e-4)
    # A dynamic scale starts so high that the first steps overflow and are skipped.
    wrapper = AmpOptimWrapper(optimizer=optimizer, loss_scale=1.0)
    data = dict(inputs=list(sstn_crops()), data_samples=sstn_samples('cpn'))
    for _ in range(3):
        log = sstn.train_step(data, wrapper)
    assert torch.isfinite(log['loss'])
    assert (sstn.stn.fc.bias != 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('sppe', ['heatmap', 'cpn'])
def test_training_step_does_not_synchronise_with_the_host(sppe):
    window_loss = dict(type='WindowCornerLoss')
    sstn, _ = build_sstn(sppe, window_loss=window_loss, parallel=dict())
    sstn.train_cfg['compute_acc'] = False
    sstn.cuda().train()
    sstn.init_parallel_sppe()
    batch = [sample.to('cuda') for sample in sstn_samples(sppe)]
    x = sstn_crops().cuda()
    torch.cuda.set_sync_debug_mode('error')
    try:
        losses = sstn(x, batch, mode='loss')
        sum(losses.values()).backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.slow
def test_compiled_forward():
    sstn, _ = build_sstn('heatmap')
    sstn.eval()
    set_stn_bias(sstn, 0.1, 0.0, 0.1)
    x = sstn_crops()
    with torch.no_grad():
        expected = sstn(x, None, mode='tensor')
        compiled = torch.compile(sstn)(x, None, mode='tensor')
    torch.testing.assert_close(compiled, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('flip', [False, True])
def test_uses_the_identity_and_warns_once_if_theta_is_not_finite(flip, monkeypatch):
    logged = []
    monkeypatch.setattr(module, 'print_log', lambda text, **kwargs: logged.append(text))
    sstn, _ = build_sstn('heatmap', test_cfg=dict(flip_test=flip))
    sstn.eval()
    set_stn_bias(sstn, 0.1, 0.05, 0.1)
    # Only the STN overflows.
    sstn.stn.register_forward_hook(
        lambda stn, inputs, theta: theta.index_fill(0, torch.tensor([1]), torch.nan)
    )
    for _ in range(2):
        with torch.no_grad():
            samples = sstn(sstn_crops(3), sstn_samples('heatmap', 3), mode='predict')
        thetas = np.concatenate([s.pred_instances.theta for s in samples])
        np.testing.assert_array_equal(thetas[1], np.eye(2, 3))
        assert (thetas[::2] != np.eye(2, 3)).any(axis=(1, 2)).all()
        assert all(np.isfinite(s.pred_instances.keypoints).all() for s in samples)
    assert len(logged) == 1
    assert 'for 1 of 3 crops' in logged[0]


@pytest.mark.parametrize(
    ('sppe', 'sdtn'),
    [*((name, 'heatmaps') for name in SPPES), ('heatmap', 'keypoints')],
)
@pytest.mark.parametrize(
    'dtype', [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)]
)
def test_trains_and_predicts_under_autocast(sppe, sdtn, dtype):
    output_heatmaps = sdtn == 'heatmaps'
    test_cfg = dict(flip_test=True, sdtn=sdtn, output_heatmaps=output_heatmaps)
    sstn, _ = build_sstn(sppe, parallel={}, test_cfg=test_cfg)
    sstn.init_parallel_sppe()
    # One crop, because half precision is slow on most CPUs.
    crops, samples = sstn_crops(1), sstn_samples(sppe, 1)
    with torch.autocast('cpu', dtype=dtype):
        losses = sstn.train()(crops, samples, mode='loss')
        with torch.no_grad():
            predicted = sstn.eval()(crops, samples, mode='predict')
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    assert total.isfinite()
    assert sstn.stn.fc.weight.grad.isfinite().all()
    for sample in predicted:
        assert np.isfinite(sample.pred_instances.keypoints).all()
        if output_heatmaps:
            assert np.isfinite(sample.pred_fields.heatmaps.numpy()).all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_predicts_if_the_model_is_cast_to_half_precision(dtype):
    sstn, _ = build_sstn('cpn', test_cfg=dict(flip_test=True))
    expected = sstn.eval()(sstn_crops(), sstn_samples('cpn'), mode='predict')
    windows = [sample.pred_instances.theta for sample in expected]
    sstn.to(dtype)
    cast = sstn(sstn_crops().to(dtype), sstn_samples('cpn'), mode='predict')
    for sample, window in zip(cast, windows, strict=True):
        np.testing.assert_allclose(sample.pred_instances.theta, window, atol=0.02)
