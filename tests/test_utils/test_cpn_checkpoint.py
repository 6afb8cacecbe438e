# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS

from rmpe_plugin.utils.cpn_checkpoint import convert_cpn_state_dict
from tests.conftest import ROOT, run_command

CONFIGS = ROOT / 'configs' / 'cpn' / 'coco'


def build_cpn(depth, size):
    config = CONFIGS / f'td-hm_cpn-res{depth}_8xb32-160e_coco-{size}.py'
    model = Config.fromfile(config).model
    model.backbone.init_cfg = None
    return MODELS.build(model).eval()


def to_cpn101(state_dict):
    """CPN101's state dict, by repeating a block of CPN50's third stage."""
    extra = {}
    for key, value in state_dict.items():
        if key.startswith('resnet.layer3.5.'):
            for block in range(6, 23):
                extra[key.replace('layer3.5', f'layer3.{block}')] = value
    return {**state_dict, **extra}


def test_converted_weights_reproduce_the_reference(golden, golden_weights):
    state_dict, draw_image = golden_weights
    converted, _ = convert_cpn_state_dict(state_dict)
    assert len(converted) == 582
    net = build_cpn(50, '256x192')
    net.load_state_dict(converted, strict=True)
    image = torch.from_numpy(draw_image(1, 256, 192, seed=7))
    with torch.no_grad():
        heatmaps = net(image, None, mode='tensor')
    reference = np.load(golden / 'cpn_r50_256x192.npz')
    names = ('global_c2', 'global_c3', 'global_c4', 'global_c5', 'refine')
    for heatmap, name in zip(heatmaps, names, strict=True):
        expected = reference[name]
        error = np.abs(heatmap.numpy() - expected).max() / expected.std()
        assert error < 1e-4, name


@pytest.mark.parametrize('depth', [50, 101])
@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_no_missing_and_no_unexpected_keys(golden_weights, depth, size):
    new = golden_weights[0] if depth == 50 else to_cpn101(golden_weights[0])
    # torch < 0.4.1 did not store num_batches_tracked.
    old = {k: v for k, v in new.items() if not k.endswith('num_batches_tracked')}
    net = build_cpn(depth, size)
    for state_dict in (new, old):
        converted, dropped = convert_cpn_state_dict(state_dict)
        assert not dropped
        net.load_state_dict(converted, strict=True)


def test_script_lists_the_layers_dropped_for_another_keypoint_set(
    golden_weights, tmp_path
):
    source, target = tmp_path / 'CPN50.pth.tar', tmp_path / 'cpn50.pth'
    wrapped = {f'module.{key}': value for key, value in golden_weights[0].items()}
    torch.save(dict(epoch=32, state_dict=wrapped, optimizer={}), source)
    result = run_command('convert cpn', source, target, '--num-keypoints', 14)
    assert '557 tensors from the 582' in result.stdout
    assert 'head.refine_net.conv.weight' in result.stdout
    assert 'head.global_net.predictors.0.norm.running_var' in result.stdout
    net = build_cpn(50, '256x192')
    expected = net.state_dict()
    loaded = load_checkpoint(net, str(target), strict=False)
    missing = set(expected) - set(loaded['state_dict'])
    assert len(missing) == 5 * 5
    assert all(expected[key].shape[:1] == (17,) for key in missing)


def test_raises_on_other_checkpoints_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match="'backbone.conv1.weight' is not a parameter"):
        convert_cpn_state_dict({'backbone.conv1.weight': torch.zeros(1)})
    result = run_command('convert cpn', tmp_path / 'no.pth', 'a.pth', check=False)
    assert result.returncode == 2
    assert 'no.pth does not exist' in result.stderr
    other = tmp_path / 'other.pth'
    torch.save({'backbone.conv1.weight': torch.zeros(1)}, other)
    failed = run_command('convert cpn', other, tmp_path / 'a.pth', check=False)
    assert failed.returncode == 2
    assert f"{other}: 'backbone.conv1.weight' is not a parameter" in failed.stderr
    assert not (tmp_path / 'a.pth').exists()
