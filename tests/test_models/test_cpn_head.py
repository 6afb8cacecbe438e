# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.models.backbones import HRNet, ResNet
from mmpose.registry import DATASETS, MODELS
from mmpose.testing import get_packed_inputs

from rmpe_plugin.models.heads import CPNHead, average_views
from rmpe_plugin.models.heads.multilevel_targets import stack_targets
from tests.conftest import ROOT
from tests.factories import cpn_samples

CHANNELS = (8, 12, 16, 20)
CODEC = dict(
    type='CPNHeatmap', input_size=(96, 128), heatmap_size=(24, 32), kernel_size=5
)


def build_head(**kwargs):
    torch.manual_seed(0)
    settings = dict(
        in_channels=CHANNELS, out_channels=17, feat_channels=16, decoder=CODEC
    )
    return CPNHead(**{**settings, **kwargs})


def features(batch=2, channels=CHANNELS, seed=0):
    torch.manual_seed(seed)
    return tuple(
        torch.randn(batch, c, 32 // 2**i, 24 // 2**i) for i, c in enumerate(channels)
    )


def test_forward_returns_levels_fine_to_coarse_then_refined_heatmaps():
    head = build_head().eval()
    feats = features()
    with torch.no_grad():
        maps = head(feats)
        pyramid = head.global_net(feats)
    assert isinstance(maps, tuple)
    assert [tuple(x.shape) for x in maps] == [(2, 17, 32, 24)] * 5
    assert [tuple(x.shape[2:]) for x in pyramid] == [(32, 24), (16, 12), (8, 6), (4, 3)]
    for i, predictor in enumerate(head.global_net.predictors):
        torch.testing.assert_close(maps[i], predictor(pyramid[i], (32, 24)))


@pytest.mark.parametrize('form', ['pytorch-cpn', 'tf-cpn'])
def test_published_parameter_counts(form):
    settings = {}
    if form == 'tf-cpn':
        settings = dict(
            global_net=dict(
                type='GlobalNet', merge_norm=False, norm_first=True, resize_grid='tf1'
            ),
            refine_net=dict(type='RefineNet', projection=False, resize_grid='tf1'),
        )
    head = CPNHead([256, 512, 1024, 2048], 17, **settings)
    backbone = ResNet(50, out_indices=(0, 1, 2, 3))
    count = sum(p.numel() for m in (head, backbone) for p in m.parameters())
    assert count == {'pytorch-cpn': 27_406_826, 'tf-cpn': 27_009_770}[form]


def test_norm_before_and_after_resize_are_equal_in_eval_mode():
    norm_last = build_head().eval()
    norm_first = build_head(global_net=dict(type='GlobalNet', norm_first=True)).eval()
    norm_first.load_state_dict(norm_last.state_dict())
    feats = features()
    for a, b in zip(norm_last(feats), norm_first(feats), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    'backbone, channels',
    [
        (dict(type='ResNet', depth=18), [64, 128, 256, 512]),
        (dict(type='ResNet', depth=152), [256, 512, 1024, 2048]),
    ],
)
def test_runs_on_resnets(backbone, channels):
    net = MODELS.build(dict(backbone, out_indices=(0, 1, 2, 3)))
    maps = build_head(in_channels=channels)(net(torch.randn(2, 3, 64, 64)))
    assert maps[-1].shape == (2, 17, 16, 16)


def test_runs_on_hrnet():
    stages = {
        f'stage{i}': dict(
            num_modules=1,
            num_branches=i,
            block='BASIC' if i > 1 else 'BOTTLENECK',
            num_blocks=(1,) * i,
            num_channels=(64,) if i == 1 else tuple(8 * 2**j for j in range(i)),
        )
        for i in range(1, 5)
    }
    stages['stage4']['multiscale_output'] = True
    feats = HRNet(stages)(torch.randn(2, 3, 64, 64))
    maps = build_head(in_channels=[8, 16, 32, 64])(feats)
    assert maps[-1].shape == (2, 17, 16, 16)


@pytest.mark.parametrize('num_bottlenecks', [(0, 0, 0, 0), (1, 1, 1, 1), (0,), (0, 1)])
def test_number_of_bottlenecks(num_bottlenecks):
    head = build_head(
        refine_net=dict(type='RefineNet', num_bottlenecks=num_bottlenecks)
    )
    assert [len(blocks) for blocks in head.refine_net.cascade] == list(num_bottlenecks)
    assert head(features())[-1].shape == (2, 17, 32, 24)


@pytest.mark.parametrize('num_keypoints', [1, 14, 133])
def test_other_numbers_of_keypoints(num_keypoints):
    head = build_head(
        out_channels=num_keypoints,
        loss=dict(type='OHKMMSELoss', use_target_weight=True, topk=1),
    )
    losses = head.loss(features(), cpn_samples(num_keypoints=num_keypoints))
    assert torch.isfinite(losses['loss_refine'])
    poses = head.predict(features(), cpn_samples(num_keypoints=num_keypoints))
    assert poses[0].keypoints.shape == (1, num_keypoints, 2)


def reference_losses(maps, batch_samples, order):
    """Both losses by loops over levels and samples."""
    total_global = 0.0
    for level, target_index in enumerate(order):
        errors = []
        for b, sample in enumerate(batch_samples):
            error = maps[level][b] - sample.gt_fields[target_index].heatmaps
            weight = sample.gt_instance_labels.keypoint_weights[target_index, 0]
            errors.append((error.square() * weight[:, None, None]).mean())
        total_global += 0.5 * sum(errors) / len(errors)
    refine = []
    for b, sample in enumerate(batch_samples):
        error = maps[-1][b] - sample.gt_fields[4].heatmaps
        weight = sample.gt_instance_labels.keypoint_weights[4, 0]
        joint = error.square().mean(dim=(1, 2)) * weight
        refine.append(joint.sort(descending=True).values[:8].sum() / 8)
    return total_global, sum(refine) / len(refine)


@pytest.mark.parametrize('order', ['pytorch-cpn', 'tf-cpn'])
def test_losses_equal_loops(order):
    head = build_head(level_order=order)
    feats, batch_samples = features(), cpn_samples()
    losses = head.loss(feats, batch_samples)
    # A second forward pass is equal: batch norm in training uses batch statistics.
    maps = head(feats)
    levels = [0, 1, 2, 3] if order == 'pytorch-cpn' else [3, 2, 1, 0]
    expected = reference_losses(maps, batch_samples, levels)
    # float32 sums of 26112 squares, in another order
    for name, value in zip(('loss_global', 'loss_refine'), expected, strict=True):
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=0)
    assert 0 <= losses['acc_pose'] <= 1


def test_both_shapes_of_multilevel_weights():
    head = build_head().eval()
    inputs = get_packed_inputs(
        2, input_size=(96, 128), heatmap_size=(24, 32), num_levels=5
    )
    packed = inputs['data_samples']
    assert packed[0].gt_instance_labels.keypoint_weights.shape == (1, 5, 17)
    expected = head.loss(features(), packed)
    for sample in packed:
        weights = sample.gt_instance_labels.keypoint_weights.transpose(0, 1)
        sample.gt_instance_labels = InstanceData(keypoint_weights=weights)
    assert packed[0].gt_instance_labels.keypoint_weights.shape == (5, 1, 17)
    for key, value in head.loss(features(), packed).items():
        torch.testing.assert_close(value, expected[key])


@pytest.mark.parametrize(
    'settings, keys',
    [
        (dict(), {'loss_global', 'loss_refine', 'acc_pose'}),
        (dict(refine_net=None), {'loss_global', 'acc_pose'}),
        (dict(global_loss=None), {'loss_refine', 'acc_pose'}),
    ],
)
def test_every_parameter_is_trained(settings, keys):
    head = build_head(**settings)
    losses = head.loss(features(), cpn_samples())
    assert set(losses) == keys
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize('refine_net', [None, dict(type='RefineNet')])
def test_accuracy_is_of_the_last_stage(refine_net):
    head = build_head(refine_net=refine_net)
    maps = head(features())
    last = maps[0] if refine_net is None else maps[4]
    batch_samples = cpn_samples()
    for sample, heatmaps in zip(batch_samples, last.detach(), strict=True):
        sample.gt_fields[4].heatmaps = heatmaps
    assert head.loss(features(), batch_samples)['acc_pose'] == 1


def test_accuracy_is_optional():
    losses = build_head().loss(features(), cpn_samples(), dict(compute_acc=False))
    assert 'acc_pose' not in losses


def test_autocast_computes_losses_in_float32():
    head = build_head()
    with torch.autocast('cpu', torch.bfloat16):
        losses = head.loss(features(), cpn_samples())
    total = losses['loss_global'] + losses['loss_refine']
    assert total.dtype == torch.float32
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_predict_decodes_the_last_stage():
    head = build_head().eval()
    with torch.no_grad():
        poses, fields = head.predict(
            features(), cpn_samples(), dict(output_heatmaps=True)
        )
        expected = head(features())[-1]
    assert len(poses) == len(fields) == 2
    assert poses[0].keypoints.shape == (1, 17, 2)
    assert poses[0].keypoint_scores.shape == (1, 17)
    torch.testing.assert_close(torch.stack([f.heatmaps for f in fields]), expected)
    keypoints, scores = head.decoder.decode(expected[1].numpy())
    np.testing.assert_allclose(poses[1].keypoints, keypoints)
    np.testing.assert_allclose(poses[1].keypoint_scores, scores)


def test_flip_test_averages_with_mirrored_heatmaps():
    head = build_head().eval()
    feats = [features(seed=0), features(seed=1)]
    with torch.no_grad():
        _, fields = head.predict(
            feats,
            cpn_samples(),
            dict(flip_test=True, flip_mode='heatmap', output_heatmaps=True),
        )
        plain, mirrored = (head(x)[-1] for x in feats)
    expected = (plain + mirrored.flip(-1)[:, list(range(17))[::-1]]) / 2
    torch.testing.assert_close(torch.stack([f.heatmaps for f in fields]), expected)


def test_inference_computes_only_the_decoded_stage():
    head = build_head().eval()
    called = []
    for i, predictor in enumerate(head.global_net.predictors):
        predictor.register_forward_hook(lambda *_, i=i: called.append(i))
    head.refine_net.register_forward_hook(lambda *_: called.append('refine'))
    with torch.no_grad():
        head.predict(features(), cpn_samples())
        assert called == ['refine']
        called.clear()
        _, fields = head.predict(
            features(), cpn_samples(), dict(stage='global', output_heatmaps=True)
        )
        assert called == [0]
        torch.testing.assert_close(fields[0].heatmaps, head(features())[0][0])


@pytest.mark.parametrize('indices', [None, [0, 1]])
def test_flip_test_raises_without_an_index_for_each_keypoint(indices):
    views = [torch.zeros(2, 3, 4, 4)] * 2
    with pytest.raises(ValueError, match='one for each of 3 keypoints, got '):
        average_views(views, indices, dict(flip_test=True))


@pytest.mark.parametrize('flip_test', [False, True])
def test_output_global_adds_keypoints_of_global_net(flip_test):
    head = build_head().eval()
    feats = [features(), features()] if flip_test else features()
    cfg = dict(flip_test=flip_test)
    with torch.no_grad():
        both = head.predict(feats, cpn_samples(), dict(cfg, output_global=True))
        before = head.predict(feats, cpn_samples(), dict(cfg, stage='global'))
        after = head.predict(feats, cpn_samples(), cfg)
    for i, pose in enumerate(both):
        np.testing.assert_array_equal(pose.keypoints, after[i].keypoints)
        np.testing.assert_array_equal(pose.global_keypoints, before[i].keypoints)
        np.testing.assert_array_equal(
            pose.global_keypoint_scores, before[i].keypoint_scores
        )
    with pytest.raises(ValueError, match='output_global needs .*head.global_loss'):
        build_head(global_loss=None).predict(
            feats, cpn_samples(), dict(cfg, output_global=True)
        )


def test_without_refine_net_the_finest_level_is_decoded():
    head = build_head(refine_net=None).eval()
    with torch.no_grad():
        _, fields = head.predict(features(), cpn_samples(), dict(output_heatmaps=True))
        maps = head(features())
    assert len(maps) == 4
    torch.testing.assert_close(fields[0].heatmaps, maps[0][0])


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(level_order='fine'), "head.level_order .*'fine'"),
        (dict(global_loss=None, refine_net=None), 'nothing to train'),
        (
            dict(refine_net=dict(type='RefineNet', num_bottlenecks=(0,) * 5)),
            'num_bottlenecks has 5 levels, more',
        ),
        (dict(in_channels=CHANNELS[:3]), 'num_bottlenecks has 4 levels, more'),
        (dict(out_channels=5), 'head.loss.topk must not be .* 5, got 8'),
    ],
)
def test_raises_on_contradicting_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build_head(**settings)


@pytest.mark.parametrize('channels', [(8, 12, 16), (8, 12, 16, 21), CHANNELS[::-1]])
def test_raises_on_wrong_features(channels):
    feats = tuple(torch.zeros(1, c, 8, 8) for c in channels)
    with pytest.raises(ValueError, match=f'head.in_channels.*{len(channels)} levels'):
        build_head()(feats)


def test_raises_on_wrong_targets():
    with pytest.raises(
        ValueError, match=r'\(14, 32, 24\).*\(17, 32, 24\).*out_channels'
    ):
        build_head().loss(features(), cpn_samples(num_keypoints=14))
    with pytest.raises(ValueError, match='makes 4 targets, the head needs 5'):
        build_head().loss(features(), cpn_samples(num_targets=4))
    with pytest.raises(ValueError, match='heatmap_size'):
        build_head().loss(features(), cpn_samples(size=(16, 12)))


@pytest.mark.parametrize('stage', ['refine', 'globe'])
def test_raises_on_a_stage_that_the_head_does_not_have(stage):
    with pytest.raises(ValueError, match=f'test_cfg.stage .*{stage}'):
        build_head(refine_net=None).predict(
            features(), cpn_samples(), dict(stage=stage)
        )


def test_raises_without_a_decoder():
    with pytest.raises(RuntimeError, match='decoder'):
        build_head(decoder=None).predict(features(), cpn_samples())


def test_refine_net_can_have_the_default_initialisation_of_torch():
    uniform = dict(
        type='Kaiming',
        layer='Conv2d',
        a=5**0.5,
        mode='fan_in',
        nonlinearity='leaky_relu',
        distribution='uniform',
    )
    head = build_head(refine_net=dict(type='RefineNet', init_cfg=uniform))
    head.init_weights()
    weight = head.refine_net.fuse.conv2.weight
    bound = (weight.shape[1] * 9) ** -0.5
    assert 0.95 * bound < weight.abs().max() <= bound
    # He's normal distribution by fan-out, as without the option.
    weight = head.global_net.predictors[0].conv.weight
    std = (2 / (weight.shape[0] * 9)) ** 0.5
    assert float(weight.std()) == pytest.approx(std, rel=0.1)


@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_separable_targets_have_the_losses_of_heatmaps(size, synthetic):
    """The codecs of the configs, from the annotations to the losses."""
    name = f'cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-{size}.py'
    config = Config.fromfile(ROOT / 'configs' / name)
    batches = []
    for separable in (True, False):
        codec = [dict(c, separable=separable) for c in config.codec]
        assert separable or codec != config.codec
        pipeline = deepcopy(config.val_pipeline)
        pipeline[-1:] = [
            dict(type='RawVisibility'),
            dict(type='GenerateTarget', multilevel=True, encoder=codec),
            dict(type='PackPoseInputs'),
        ]
        dataset = DATASETS.build(
            dict(
                type='CheckedCocoDataset',
                data_root=str(synthetic),
                ann_file='annotations/person_keypoints_train.json',
                data_prefix=dict(img='train/'),
                pipeline=pipeline,
            )
        )
        batches.append([dataset[i]['data_samples'] for i in range(3)])
    (rendered, weights), (heatmaps, other) = (stack_targets(b, 5) for b in batches)
    torch.testing.assert_close(weights, other, rtol=0, atol=0)
    for a, b in zip(rendered, heatmaps, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    assert 'gt_fields' not in batches[0][0]
    with pytest.raises(ValueError, match='makes 5 targets, the head needs 3'):
        stack_targets(batches[0], 3)
