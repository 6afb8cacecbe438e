# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import torch
from mmpose.registry import HOOKS

from tests.factories import build_sstn


def test_features_are_channels_last_and_heatmaps_are_equal():
    _, net = build_sstn('cpn')
    net.eval()
    images = torch.randn(2, 3, 128, 96)
    with torch.no_grad():
        before = net(images, None, mode='tensor')
        HOOKS.build(dict(type='ChannelsLastHook')).before_run(
            SimpleNamespace(model=net)
        )
        assert net.extract_feat(images)[0].is_contiguous(
            memory_format=torch.channels_last
        )
        after = net(images, None, mode='tensor')
    # float32, other convolution kernels
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
