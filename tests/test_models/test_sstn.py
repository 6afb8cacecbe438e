# SPDX-License-Identifier: Apache-2.0
"""The SSTN around MMPose's heads and ours, which it does not change."""

from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.optim import AmpOptimWrapper
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import MultilevelPixelData, PoseDataSample

from rmpe_plugin.models.pose_estimators.sstn import _hold_outliers
from rmpe_plugin.ops import invert_affine, warp

K = 5
SIZE = (96, 64)
MSRA = dict(type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=1)
CPN = dict(type='CPNHeatmap', input_size=(64, 96), heatmap_size=(16, 24), kernel_size=5)
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
MSE = dict(type='KeypointMSELoss', use_target_weight=True)
STN = dict(
    type='SpatialTransformer', backbone=dict(RESNET, out_indices=(3,)), in_channels=64
)
# Every head of the promise; multilevel targets for the last two.
SPPES = dict(
    heatmap=dict(
        backbone=dict(RESNET, out_indices=(0, 3)),
        head=dict(
            type='HeatmapHead',
            in_channels=64,
            out_channels=K,
            deconv_out_channels=(8, 8, 8),
            deconv_kernel_sizes=(4, 4, 4),
            loss=MSE,
            decoder=MSRA,
        ),
    ),
    neck=dict(
        backbone=dict(RESNET, out_indices=(0, 3)),
        neck=dict(type='FeatureMapProcessor', select_index=(0, 1), concat=True),
        head=dict(
            type='HeatmapHead',
            in_channels=72,
            out_channels=K,
            deconv_out_channels=None,
            loss=MSE,
            decoder=MSRA,
        ),
    ),
    cpm=dict(
        backbone=dict(
            type='HourglassNet',
            num_stacks=2,
            downsample_times=1,
            stage_channels=(256, 256),
            stage_blocks=(1, 1),
        ),
        head=dict(
            type='CPMHead',
            in_channels=256,
            out_channels=K,
            num_stages=2,
            deconv_out_channels=None,
            loss=MSE,
            decoder=MSRA,
        ),
    ),
    mspn=dict(
        backbone=dict(type='MSPN', unit_channels=8, num_stages=2, num_units=4),
        head=dict(
            type='MSPNHead',
            out_shape=(24, 16),
            unit_channels=8,
            out_channels=K,
            num_stages=2,
            num_units=4,
            norm_cfg=dict(type='BN'),
            level_indices=[0, 1, 2, 3] * 2,
            loss=[MSE] * 8,
            decoder=MSRA,
        ),
    ),
    cpn=dict(
        backbone=dict(RESNET, out_indices=(0, 1, 2, 3)),
        head=dict(
            type='CPNHead',
            in_channels=[8, 16, 32, 64],
            out_channels=K,
            feat_channels=16,
            loss=dict(type='OHKMMSELoss', use_target_weight=True, topk=3),
            decoder=CPN,
        ),
    ),
)
LEVELS = dict(mspn=4, cpn=5)


def preprocessor():
    return dict(type='PoseDataPreprocessor')


def build(sppe, **kwargs):
    """An SSTN around a single-person estimator, and that estimator alone."""
    settings = dict(
        SPPES[sppe] if isinstance(sppe, str) else sppe,
        data_preprocessor=preprocessor(),
        test_cfg=dict(flip_test=False, shift_heatmap=False),
    )
    torch.manual_seed(0)
    plain = MODELS.build(dict(settings, type='TopdownPoseEstimator'))
    settings['test_cfg'] = dict(settings['test_cfg'], **kwargs.pop('test_cfg', {}))
    plain.test_cfg.update(settings['test_cfg'])
    sstn = MODELS.build(dict(settings, type='SSTNPoseEstimator', stn=STN, **kwargs))
    missing = sstn.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith('stn.') for key in missing.missing_keys)
    return sstn, plain


def choose(sstn, *numbers):
    """Make the STN say the same to every crop: at most six numbers, then zeros."""
    sstn.stn.fc.bias.data[: len(numbers)] = torch.tensor(numbers)


def target(levels, seed):
    torch.manual_seed(seed)
    maps = torch.rand(levels or 1, K, 24, 16)
    weights = (torch.rand(levels or 1, 1, K) > 0.3).float()
    if levels:
        fields = MultilevelPixelData()
        fields.set_field(list(maps), 'heatmaps')
    else:
        fields, weights = PixelData(heatmaps=maps[0]), weights[0]
    return PoseDataSample(
        gt_fields=fields, gt_instance_labels=InstanceData(keypoint_weights=weights)
    )


def samples(sppe, batch=2):
    found = []
    for i in range(batch):
        sample = target(LEVELS.get(sppe), seed=i)
        sample.centred = target(LEVELS.get(sppe), seed=10 + i)
        sample.theta_gt = torch.eye(2, 3) * 0.9
        sample.gt_instances = InstanceData(
            bboxes=np.array([[10.0, 10, 50, 80]]), bbox_scores=np.ones(1)
        )
        sample.set_metainfo(
            dict(
                flip_indices=[0, 2, 1, 4, 3],
                input_size=(64, 96),
                input_center=np.array([30.0, 45]),
                input_scale=np.array([60.0, 80]),
            )
        )
        found.append(sample)
    return found


def images(batch=2):
    x = torch.rand(batch, 3, *SIZE, generator=torch.manual_seed(3))
    return F.avg_pool2d(x, 5, stride=1, padding=2)


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('sppe', SPPES)
def test_identity_is_the_plain_estimator(sppe, flip):
    sstn, plain = build(sppe, test_cfg=dict(flip_test=flip, output_heatmaps=True))
    x = images()
    for net in (sstn, plain):
        net.train()
    expected = plain(x, samples(sppe), mode='loss')
    found = sstn(x, samples(sppe), mode='loss')
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)

    for net in (sstn, plain):
        net.eval()
    maps, others = (net(x, None, mode='tensor') for net in (sstn, plain))
    assert type(maps) is type(others)
    for a, b in zip(maps, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)

    with torch.no_grad():
        expected = plain(x, samples(sppe), mode='predict')
        found = sstn(x, samples(sppe), mode='predict')
    for a, b in zip(found, expected, strict=True):
        pose, other = a.pred_instances, b.pred_instances
        np.testing.assert_allclose(pose.keypoints, other.keypoints, atol=1e-4)
        np.testing.assert_allclose(
            pose.keypoint_scores, other.keypoint_scores, atol=1e-4
        )
        np.testing.assert_allclose(pose.theta, np.eye(2, 3)[None])
        torch.testing.assert_close(
            a.pred_fields.heatmaps, b.pred_fields.heatmaps, rtol=1e-4, atol=1e-4
        )


def test_outside_the_crop_is_black_as_in_crops():
    """Pixel 0, which is what TopdownAffine puts outside the picture."""
    norm = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
    settings = dict(SPPES['heatmap'], type='SSTNPoseEstimator', stn=STN)
    settings['data_preprocessor'] = dict(type='PoseDataPreprocessor', **norm)
    sstn = MODELS.build(settings).eval()
    choose(sstn, 0.0, 0.0, 0.3)
    pixels = torch.full((3, *SIZE), 200, dtype=torch.uint8)
    batch = dict(inputs=[pixels], data_samples=samples('heatmap', 1))
    inputs = sstn.data_preprocessor(batch)['inputs']
    seen, _ = sstn.transform(inputs)
    seen = seen * sstn.data_preprocessor.std + sstn.data_preprocessor.mean
    torch.testing.assert_close(
        seen[..., -4:], torch.zeros(1, 3, SIZE[0], 4), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(seen[..., :32], torch.full((1, 3, SIZE[0], 32), 200.0))


@pytest.mark.parametrize('sppe', ['heatmap', 'cpm', 'cpn'])
def test_maps_are_brought_back_stage_by_stage(sppe):
    sstn, plain = build(sppe)
    sstn.eval(), plain.eval()
    choose(sstn, 0.1, 0.05, 0.2, -0.03, -0.1, 0.1)
    x = images()
    theta = sstn.stn(x)
    seen = warp(x, theta, SIZE)
    stages = plain(seen, None, mode='tensor')
    back = sstn(x, None, mode='tensor')
    if isinstance(stages, torch.Tensor):
        stages, back = [stages], [back]
    for stage, found in zip(stages, back, strict=True):
        last = theta.new_tensor([0, 0, 1]).expand(2, 1, 3)
        gamma = torch.linalg.inv(torch.cat((theta, last), dim=1))[:, :2]
        grid = F.affine_grid(gamma, stage.shape, align_corners=True)
        expected = F.grid_sample(stage, grid, align_corners=True)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert (found - stage).abs().max() > 1e-3


class Picture(BaseModule):
    """A backbone that is none: the picture itself."""

    def forward(self, x):
        return (x,)


class SpotHead(HeatmapHead):
    """Heatmaps are the picture's three channels, seen at a quarter of its size."""

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
    # pixel x of the map is pixel 4 x of the crop; DARK decodes without quarter pixels
    msra=dict(
        type='MSRAHeatmap',
        input_size=(96, 128),
        heatmap_size=(24, 32),
        sigma=2,
        unbiased=True,
    ),
    # corner pixels lie on corner pixels, as in the SDTN
    udp=dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2),
)


def spots(points):
    """Smooth pictures with a spot a channel, (B, 3, 128, 96)."""
    x, y = torch.arange(96.0), torch.arange(128.0)[:, None]
    gap = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    return torch.exp(-gap / (2 * 8**2))


def spot_net(codec, **test_cfg):
    sppe = dict(
        backbone=dict(type=Picture),
        head=dict(type=SpotHead, corners=codec == 'udp', decoder=CODECS[codec]),
    )
    sstn, _ = build(sppe, test_cfg=test_cfg)
    choose(sstn, 0.12, 0.06, 0.1, -0.05, -0.08, 0.07)
    return sstn.eval()


def spot_samples(batch):
    found = samples('heatmap', batch)
    for sample in found:
        sample.set_metainfo(
            dict(
                flip_indices=[0, 1, 2],
                input_size=(96, 128),
                input_center=np.array([48.0, 64]),
                input_scale=np.array([96.0, 128]),
            )
        )
    return found


@pytest.mark.parametrize(
    ('codec', 'flip', 'limit'),
    # limits in heatmap pixels; MSRA's pixels are not the corners' (see the SDTN), and
    # its mirror image is a pixel off, which is what shift_heatmap is about
    [('udp', False, 0.1), ('udp', True, 0.1), ('msra', False, 0.5)],
)
def test_both_ways_back_agree_with_the_truth(codec, flip, limit):
    points = 30 + 36 * torch.rand(4, 3, 2, generator=torch.manual_seed(0))
    points[..., 1] += 20
    x = spots(points)
    found = {}
    for mode in ('heatmaps', 'keypoints'):
        net = spot_net(codec, flip_test=flip, sdtn=mode)
        with torch.no_grad():
            results = net(x, spot_samples(4), mode='predict')
        found[mode] = np.concatenate([r.pred_instances.keypoints for r in results])
    truth = points.numpy()
    if codec == 'udp':  # counts the crop's width from corner pixel to corner pixel
        truth = truth * np.array([96 / 95, 128 / 127])
    for keypoints in found.values():
        assert np.abs(keypoints - truth).max() < 4 * limit
    assert np.abs(found['heatmaps'] - found['keypoints']).max() < 4 * limit


def test_each_flip_branch_has_its_own_window():
    """The window depends on what is seen; the mirror image is another picture."""
    sstn, plain = build('heatmap', test_cfg=dict(flip_test=True, output_heatmaps=True))
    sstn.eval(), plain.eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(sstn.stn.fc.weight, std=0.05)
    x = images()
    thetas = [sstn.stn(view) for view in (x, x.flip(-1))]
    assert (thetas[0] - thetas[1]).abs().max() > 1e-3
    views = []
    for view, theta in zip((x, x.flip(-1)), thetas, strict=True):
        maps = plain(warp(view, theta, SIZE), None, mode='tensor')
        views.append(warp(maps, invert_affine(theta), (24, 16)))
    expected = (views[0] + views[1].flip(-1)[:, [0, 2, 1, 4, 3]]) / 2
    found = sstn(x, samples('heatmap'), mode='predict')
    for sample, maps, theta in zip(found, expected, thetas[0], strict=True):
        torch.testing.assert_close(sample.pred_fields.heatmaps, maps)
        np.testing.assert_allclose(sample.pred_instances.theta[0], theta.detach())


def parallel_net(**parallel):
    sstn, plain = build('cpn', parallel=parallel)
    sstn.train()
    return sstn, plain


def test_parallel_loss_is_a_plain_estimators_on_the_window():
    sstn, plain = parallel_net(loss_weight=0.3)
    sstn.fill_parallel()
    choose(sstn, 0.1, 0.0, 0.1)
    x = images()
    losses = sstn(x, samples('cpn'), mode='loss')
    seen = warp(x, sstn.stn(x), SIZE)
    plain.eval()
    centred = [s.centred for s in samples('cpn')]
    expected = plain(seen, centred, mode='loss')
    for name in ('loss_global', 'loss_refine'):
        torch.testing.assert_close(
            losses[f'parallel.{name}'], 0.3 * expected[name], rtol=1e-4, atol=1e-5
        )
    assert 'parallel.acc_pose' not in losses


def test_parallel_sppe_is_truly_frozen():
    sstn, _ = parallel_net()
    sstn.fill_parallel()
    frozen = sstn._parallel_sppe[0]
    before = deepcopy(frozen.state_dict())
    optimizer = torch.optim.SGD(sstn.parameters(), lr=0.1)
    for _ in range(2):
        sstn.train()
        losses = sstn(images(), samples('cpn'), mode='loss')
        optimizer.zero_grad()
        sum(v for k, v in losses.items() if 'parallel' in k).backward()
        assert sstn.stn.fc.weight.grad.abs().max() > 0
        assert sstn.head.refine_net.norm.weight.grad is None
        optimizer.step()
    assert not any(m.training for m in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.grad is None for p in frozen.parameters())
    for key, value in frozen.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not torch.equal(
        sstn.backbone.bn1.running_mean, frozen.backbone.bn1.running_mean
    )


def test_parallel_sppe_is_part_of_nothing():
    sstn, _ = parallel_net()
    names = (
        set(sstn.state_dict()),
        len(list(sstn.parameters())),
        len(list(sstn.modules())),
    )
    sstn.fill_parallel()
    assert names == (
        set(sstn.state_dict()),
        len(list(sstn.parameters())),
        len(list(sstn.modules())),
    )
    assert not any('parallel' in name for name in sstn.state_dict())


def test_parallel_sppe_takes_weights_now_or_from_a_checkpoint(tmp_path):
    sstn, _ = parallel_net()
    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.5)
    sstn.fill_parallel()
    frozen = sstn._parallel_sppe[0]
    assert (frozen.backbone.conv1.weight == 0.5).all()

    other = MODELS.build(dict(SPPES['cpn'], type='TopdownPoseEstimator'))
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'stage1.pth')
    sstn, _ = parallel_net(checkpoint=str(tmp_path / 'stage1.pth'))
    sstn.fill_parallel()
    state = other.state_dict()
    for key, value in sstn._parallel_sppe[0].state_dict().items():
        assert torch.equal(value, state[key]), key


def test_no_sample_leads_the_stn_alone():
    gradient = torch.randn(5, 2, 3, generator=torch.manual_seed(0))
    gradient[1] *= 100
    gradient[2] = 0
    length = gradient.flatten(1).norm(dim=1)
    found = _hold_outliers(gradient)
    median = length.sort().values[2]
    torch.testing.assert_close(
        found.flatten(1).norm(dim=1), length.clamp(max=median), rtol=1e-5, atol=0
    )
    cosine = F.cosine_similarity(found.flatten(1), gradient.flatten(1))
    torch.testing.assert_close(cosine[[0, 1, 3, 4]], torch.ones(4))
    # as an AMP scaler does
    torch.testing.assert_close(_hold_outliers(65536 * gradient), 65536 * found)


def test_outliers_are_held_in_training():
    sstn, _ = build('heatmap')
    sstn.train()
    seen = []
    choose(sstn, 0.1, 0.05, 0.1)
    sstn.stn.fc.register_full_backward_hook(lambda m, given, got: seen.append(got[0]))
    sstn(images(4), samples('heatmap', 4), mode='loss')['loss_kpt'].backward()
    # The bounds' slope is the same for all samples; so is the limit then.
    slope = 1 - torch.tanh(sstn.stn.fc.bias / sstn.stn.bounds) ** 2
    length = (seen[0] / slope).norm(dim=1).sort().values
    torch.testing.assert_close(length[1:], length[1].expand(3), rtol=1e-4, atol=0)
    assert length[0] < length[1]


def test_window_loss_is_the_corners_distance():
    sstn, _ = build(
        'heatmap', window_loss=dict(type='WindowCornerLoss', loss_weight=2.0)
    )
    choose(sstn, 0.1, 0.05, 0.1)
    x, batch = images(), samples('heatmap')
    loss = sstn.train()(x, batch, mode='loss')['loss_window']
    theta = sstn.stn(x).detach()
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    total = 0.0
    for t, sample in zip(theta, batch, strict=True):
        for corner in corners:
            here, there = (m[:, :2] @ corner + m[:, 2] for m in (t, sample.theta_gt))
            total += float(((here - there) ** 2).sum() ** 0.5)
    assert loss.item() == pytest.approx(2 * total / 8, rel=1e-5)
    loss.backward()
    assert sstn.backbone.conv1.weight.grad is None


def test_window_loss_at_its_minimum_has_a_finite_gradient():
    loss = MODELS.build(dict(type='WindowCornerLoss'))
    theta = torch.eye(2, 3)[None].requires_grad_()
    loss(theta, torch.eye(2, 3)[None]).backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize('missing', ['parallel', 'centred', 'theta_gt'])
def test_what_a_loss_needs_is_named(missing):
    window_loss = dict(type='WindowCornerLoss')
    sstn, _ = build('heatmap', parallel=dict(), window_loss=window_loss)
    batch = samples('heatmap')
    if missing != 'parallel':
        sstn.fill_parallel()
        for sample in batch:
            delattr(sample, missing)
    wanted = dict(
        parallel='ParallelSPPEHook',
        centred='GenerateCentredTarget',
        theta_gt='TrueWindow',
    )
    with pytest.raises(ValueError, match=wanted[missing]):
        sstn.train()(images(), batch, mode='loss')


def test_wrong_settings():
    with pytest.raises(ValueError, match='model.head is missing'):
        MODELS.build(dict(type='SSTNPoseEstimator', backbone=RESNET))
    with pytest.raises(ValueError, match="'loss_weight' and 'checkpoint', got .*'wei"):
        build('heatmap', parallel=dict(weight=1))
    with pytest.raises(ValueError, match="flip_mode must be 'heatmap'"):
        build('heatmap', test_cfg=dict(flip_mode='offset'))
    with pytest.raises(ValueError, match="test_cfg.sdtn must be one of .*'points'"):
        build('heatmap', test_cfg=dict(sdtn='points'))
    for output in ('output_heatmaps', 'output_global'):
        sstn, _ = build('heatmap', test_cfg={'sdtn': 'keypoints', output: True})
        with pytest.raises(ValueError, match=f'{output} needs test_cfg.sdtn'):
            sstn.eval()(images(), samples('heatmap'), mode='predict')


def test_a_head_without_heatmaps_is_refused():
    head = dict(
        type='RegressionHead',
        in_channels=64,
        num_joints=K,
        loss=dict(type='SmoothL1Loss'),
        decoder=None,
    )
    sppe = dict(
        backbone=dict(RESNET, out_indices=(3,)),
        neck=dict(type='GlobalAveragePooling'),
        head=head,
    )
    sstn, _ = build(sppe)
    with pytest.raises(TypeError, match=r'heatmaps \(B, K, H, W\), got'):
        sstn(images(), None, mode='tensor')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    sstn, _ = build('cpn', parallel=dict())
    sstn.fill_parallel()
    choose(sstn, 0.1, 0.0, 0.1)
    sstn.train()
    expected = sstn(images(), samples('cpn'), mode='loss')
    with torch.autocast('cpu', dtype=dtype):
        found = sstn(images(), samples('cpn'), mode='loss')
    sum(v for k, v in found.items() if 'loss' in k).backward()
    for name in expected:
        if 'loss' in name:
            torch.testing.assert_close(
                found[name].float(), expected[name], rtol=0.1, atol=0.01
            )
    assert all(p.grad is None or p.grad.isfinite().all() for p in sstn.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_amp_training_steps():
    sstn, _ = build('cpn', parallel=dict())
    sstn.cuda().train()
    sstn.fill_parallel()
    optimizer = torch.optim.Adam(sstn.parameters(), lr=1e-4)
    wrapper = AmpOptimWrapper(optimizer=optimizer)
    data = dict(inputs=list(images()), data_samples=samples('cpn'))
    for _ in range(3):
        log = sstn.train_step(data, wrapper)
    assert torch.isfinite(log['loss'])
    assert (sstn.stn.fc.bias != 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_no_host_synchronisation_in_training():
    sstn, _ = build('heatmap', window_loss=dict(type='WindowCornerLoss'))
    sstn.train_cfg['compute_acc'] = False
    sstn.cuda().train()
    batch = [sample.to('cuda') for sample in samples('heatmap')]
    x = images().cuda()
    torch.cuda.set_sync_debug_mode('error')
    try:
        losses = sstn(x, batch, mode='loss')
        sum(losses.values()).backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.slow
def test_compiled_forward():
    sstn, _ = build('heatmap')
    sstn.eval()
    choose(sstn, 0.1, 0.0, 0.1)
    x = images()
    with torch.no_grad():
        expected = sstn(x, None, mode='tensor')
        found = torch.compile(sstn)(x, None, mode='tensor')
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
