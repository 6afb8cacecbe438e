# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmpose.registry import HOOKS

from tests.factories import build_sstn, sstn_crops, sstn_samples


@pytest.mark.parametrize('head', ['heatmap', 'cpm', 'mspn'])
def test_heads_of_mmpose_train_in_bfloat16(head):
    _, net = build_sstn(head)
    net.train()
    hook, runner = (
        HOOKS.build(dict(type='Float32HeatmapsHook')),
        SimpleNamespace(model=net),
    )

    def losses():
        with torch.autocast('cpu', torch.bfloat16):
            return net(sstn_crops(), sstn_samples(head), mode='loss')

    with pytest.raises(TypeError, match='BFloat16'):
        losses()
    hook.before_run(runner)
    loss = sum(value for name, value in losses().items() if 'loss' in name)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.head.parameters())
    hook.after_run(runner)
    with pytest.raises(TypeError, match='BFloat16'):
        losses()


def test_raises_without_a_head():
    hook = HOOKS.build(dict(type='Float32HeatmapsHook'))
    with pytest.raises(ValueError, match='the model has no head'):
        hook.before_run(SimpleNamespace(model=torch.nn.Linear(2, 2)))
