# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmpose.models.backbones import HourglassNet
from mmpose.registry import MODELS

SMALL = dict(
    stage_channels=(256, 32, 48, 64, 64), stage_blocks=(1, 1, 1, 1, 1), feat_channel=40
)


def build(**kwargs):
    return MODELS.build(dict(type='HourglassPyramid', **{**SMALL, **kwargs}))


@pytest.mark.parametrize('num_stacks', [1, 2])
@pytest.mark.parametrize('downsample_times', [3, 4])
def test_first_level_equals_hourglass_with_the_same_weights(
    num_stacks, downsample_times
):
    sizes = dict(num_stacks=num_stacks, downsample_times=downsample_times)
    plain, pyramid = HourglassNet(**SMALL, **sizes), build(**sizes)
    plain.eval(), pyramid.eval()
    pyramid.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(1, 3, 128, 64)
    with torch.no_grad():
        levels = pyramid(x)
        torch.testing.assert_close(levels[0], plain(x)[-1])
    shapes = [tuple(level.shape[1:]) for level in levels]
    assert shapes == [(40, 32, 16), (32, 16, 8), (48, 8, 4), (64, 4, 2)]


def test_inner_levels_are_the_sums_of_the_decoder():
    pyramid = build(num_stacks=1, downsample_times=4)
    pyramid.eval()
    outputs = {}
    module = pyramid.hourglass_modules[0]
    for depth in range(3):
        module = module.low2
        module.register_forward_hook(
            lambda m, i, o, depth=depth: outputs.update({depth: o})
        )
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        levels = pyramid(x)
        HourglassNet.forward(pyramid, x)
    for depth in range(3):
        torch.testing.assert_close(levels[depth + 1], outputs[depth])


@pytest.mark.parametrize('num_stacks', [1, 2])
def test_every_trainable_parameter_gets_a_gradient(num_stacks):
    pyramid = build(num_stacks=num_stacks, downsample_times=4)
    sum(x.sum() for x in pyramid(torch.randn(2, 3, 64, 64))).backward()
    trainable = [p for p in pyramid.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trainable)


def test_raises_on_unsupported_sizes():
    with pytest.raises(ValueError, match='downsample_times must be at least 3.*got 2'):
        build(downsample_times=2)
    with pytest.raises(ValueError, match='multiple of 64 .*got 256x200'):
        build(downsample_times=4)(torch.zeros(1, 3, 256, 200))
