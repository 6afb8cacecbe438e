# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmpose.registry import HOOKS

from tests.factories import build_sstn


def is_channels_last(x):
    return x.is_contiguous(memory_format=torch.channels_last)


def test_features_are_channels_last_and_heatmaps_are_equal():
    net, _ = build_sstn('cpn')
    net.eval()
    images = torch.randn(2, 3, 96, 64)
    strides = [parameter.stride() for parameter in net.parameters()]
    hook, runner = (
        HOOKS.build(dict(type='ChannelsLastHook')),
        SimpleNamespace(model=net),
    )
    with torch.no_grad():
        before = net(images, None, mode='tensor')
        hook.before_run(runner)
        assert is_channels_last(net.extract_feat(images)[0])
        assert is_channels_last(net.stn.backbone(images)[-1])
        # DistributedDataParallel has wrapped the model before the hook runs.
        assert [parameter.stride() for parameter in net.parameters()] == strides
        after = net(images, None, mode='tensor')
        hook.after_run(runner)
        assert not is_channels_last(net.extract_feat(images)[0])
    # float32, other convolution kernels
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_raises_without_a_backbone():
    hook = HOOKS.build(dict(type='ChannelsLastHook'))
    with pytest.raises(ValueError, match='the model has no backbone'):
        hook.before_run(SimpleNamespace(model=torch.nn.Linear(2, 2)))
