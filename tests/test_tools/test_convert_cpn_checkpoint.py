# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS

from tests.conftest import ROOT, load_module, run_tool

CONFIGS = ROOT / 'configs' / 'cpn' / 'coco'
convert = load_module(ROOT / 'tools' / 'convert_cpn_checkpoint.py')


def build(depth, size):
    config = CONFIGS / f'td-hm_cpn-res{depth}_8xb32-160e_coco-{size}.py'
    model = Config.fromfile(config).model
    model.backbone.init_cfg = None
    net = MODELS.build(model)
    net.eval()
    return net


def deeper(state):
    """CPN101's state dict, by repeating blocks of CPN50's third stage."""
    extra = {}
    for key, value in state.items():
        if key.startswith('resnet.layer3.5.'):
            for block in range(6, 23):
                extra[key.replace('layer3.5', f'layer3.{block}')] = value
    return {**state, **extra}


def test_reference_outputs(golden, golden_weights, tmp_path):
    state, draw_image = golden_weights
    source, target = tmp_path / 'CPN50.pth.tar', tmp_path / 'cpn50.pth'
    wrapped = {f'module.{key}': value for key, value in state.items()}
    torch.save(dict(epoch=32, state_dict=wrapped, optimizer={}), source)
    result = run_tool('convert_cpn_checkpoint.py', source, target)
    assert '582 tensors' in result.stdout.replace('\n', ' ')

    net = build(50, '256x192')
    load_checkpoint(net, str(target), strict=True)
    image = torch.from_numpy(draw_image(1, 256, 192, seed=7))
    with torch.no_grad():
        maps = net(image, None, mode='tensor')
    numbers = np.load(golden / 'cpn_r50_256x192.npz')
    names = ('global_c2', 'global_c3', 'global_c4', 'global_c5', 'refine')
    for found, name in zip(maps, names, strict=True):
        expected = numbers[name]
        error = np.abs(found.numpy() - expected).max() / expected.std()
        assert error < 1e-4, name


@pytest.mark.parametrize('depth', [50, 101])
@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_no_missing_and_no_unexpected_key(golden_weights, depth, size):
    state = golden_weights[0] if depth == 50 else deeper(golden_weights[0])
    old = {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}
    for source in (state, old):
        converted, dropped = convert.convert_state_dict(source)
        assert not dropped
        build(depth, size).load_state_dict(converted, strict=True)


def test_other_keypoint_sets_say_what_is_dropped(golden_weights, tmp_path):
    source, target = tmp_path / 'CPN50.pth.tar', tmp_path / 'cpn50.pth'
    torch.save(dict(state_dict=golden_weights[0]), source)
    result = run_tool(
        'convert_cpn_checkpoint.py', source, target, '--num-keypoints', 14
    )
    assert 'head.refine_net.conv.weight' in result.stdout
    assert 'head.global_net.predictors.0.norm.running_var' in result.stdout
    state = torch.load(target, weights_only=True)['state_dict']
    kept = build(50, '256x192').state_dict()
    missing = set(kept) - set(state)
    assert len(missing) == 5 * 5
    assert all(kept[key].shape[:1] == (17,) for key in missing)


def test_foreign_checkpoints_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'backbone.conv1.weight' is not a parameter"):
        convert.convert_state_dict({'backbone.conv1.weight': torch.zeros(1)})
    result = run_tool(
        'convert_cpn_checkpoint.py', tmp_path / 'no.pth', 'a.pth', check=False
    )
    assert result.returncode == 2
    assert 'no.pth is not a file' in result.stderr
