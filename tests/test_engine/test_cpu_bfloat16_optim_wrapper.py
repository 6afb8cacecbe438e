# SPDX-License-Identifier: Apache-2.0
"""Precision choice and training with CPUBFloat16OptimWrapper."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from rmpe_plugin.engine.optim_wrappers import CPUBFloat16OptimWrapper, cpu_bfloat16
from rmpe_plugin.engine.optim_wrappers.cpu_bfloat16 import bfloat16_flag
from tests.factories import build_sstn, sstn_crops, sstn_samples


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))


def batches(number):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, 12, 12, generator=generator) for _ in range(number)]


def wrap(net, wrapper=CPUBFloat16OptimWrapper, **kwargs):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    return wrapper(optimizer=optimizer, **kwargs)


def train(net, wrapper, inputs):
    """Regress the mean over the channels; returns the losses."""
    losses = []
    wrapper.initialize_count_status(net, 0, len(inputs))
    for x in inputs:
        with wrapper.optim_context(net):
            target = x.mean(dim=1, keepdim=True)[..., 2:-2, 2:-2]
            loss = nn.functional.mse_loss(net(x), target)
        wrapper.update_params(loss)
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ('flags', 'expected'),
    [
        ('fpu sse2 avx avx2 fma', None),
        ('avx2 avx512f avx512_vnni', None),
        ('avx2 avx512f avx512_bf16 avx512_fp16', 'avx512_bf16'),
        ('avx512_bf16 amx_bf16 amx_tile', 'amx_bf16'),
    ],
)
def test_flag_is_read_from_cpuinfo(tmp_path, flags, expected):
    path = tmp_path / 'cpuinfo'
    path.write_text(f'processor\t: 0\nmodel name\t: CPU\nflags\t\t: {flags}\n')
    assert bfloat16_flag(path) == expected


def test_no_flag_without_cpuinfo(tmp_path):
    assert bfloat16_flag(tmp_path / 'missing') is None


@pytest.mark.parametrize('flag', [None, 'avx512_bf16'])
def test_auto_follows_the_cpu(monkeypatch, flag):
    messages = []
    monkeypatch.setattr(cpu_bfloat16, 'bfloat16_flag', lambda: flag)
    monkeypatch.setattr(cpu_bfloat16, 'print_log', lambda m, **_: messages.append(m))
    net = network()
    wrapper = wrap(net)
    assert wrapper.use_bfloat16 is (flag is not None)
    reason = f'the CPU has {flag}' if flag else 'the CPU has neither amx_bf16 nor'
    (message,) = messages
    assert reason in message
    with wrapper.optim_context(net):
        output = net(batches(1)[0])
    assert output.dtype == (torch.bfloat16 if flag else torch.float32)
    assert net(batches(1)[0]).dtype == torch.float32


def test_auto_is_float32_for_models_on_other_devices(monkeypatch):
    monkeypatch.setattr(cpu_bfloat16, 'bfloat16_flag', lambda: 'amx_bf16')
    assert wrap(network().to('meta')).use_bfloat16 is False


def test_raises_on_forced_bfloat16_on_other_devices():
    with pytest.raises(ValueError, match='on meta; use AmpOptimWrapper'):
        wrap(network().to('meta'), precision='bfloat16')


def test_raises_on_unknown_precision():
    with pytest.raises(ValueError, match="got 'float16'"):
        wrap(network(), precision='float16')


def test_bfloat16_trains_float32_weights():
    net = network()
    losses = train(net, wrap(net, precision='bfloat16'), batches(60))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    for parameter in net.parameters():
        assert parameter.dtype == torch.float32
        assert torch.isfinite(parameter).all()


def test_bfloat16_is_close_to_float32():
    nets = [network(), network()]
    precisions = ('bfloat16', 'float32')
    low, full = (
        train(net, wrap(net, precision=precision), batches(20))
        for net, precision in zip(nets, precisions, strict=True)
    )
    assert low != full
    assert low == pytest.approx(full, rel=0.02)


@pytest.mark.parametrize('counts', [1, 3])
def test_float32_equals_mmengine(counts):
    nets = [network(), network()]
    settings = dict(accumulative_counts=counts, clip_grad=dict(max_norm=0.1))
    losses = [
        train(
            nets[0], wrap(nets[0], OptimWrapper, **copy.deepcopy(settings)), batches(8)
        ),
        train(nets[1], wrap(nets[1], precision='float32', **settings), batches(8)),
    ]
    assert losses[0] == losses[1]
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(a, b)


def test_bfloat16_accumulates_gradients():
    net, twin = network(), network()
    first, second = batches(2)
    wrapper = wrap(net, precision='bfloat16', accumulative_counts=2)
    wrapper.initialize_count_status(net, 0, 2)
    before = copy.deepcopy(net.state_dict())
    with wrapper.optim_context(net):
        loss = net(first).float().square().mean()
    wrapper.update_params(loss)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    with wrapper.optim_context(net):
        loss = net(second).float().square().mean()
    wrapper.update_params(loss)

    twin(torch.cat((first, second))).square().mean().backward()
    for parameter, expected in zip(net.parameters(), twin.parameters(), strict=True):
        step = (expected - parameter).detach() / 0.05
        gap = torch.linalg.vector_norm(step - expected.grad)
        assert gap < 0.05 * torch.linalg.vector_norm(expected.grad)


def test_builds_from_a_config():
    config = dict(
        type='CPUBFloat16OptimWrapper',
        precision='bfloat16',
        optimizer=dict(type='Adam', lr=5e-4),
        paramwise_cfg=dict(custom_keys={'0': dict(lr_mult=2.0)}),
    )
    wrapper = build_optim_wrapper(network(), config)
    assert isinstance(wrapper, CPUBFloat16OptimWrapper)
    assert wrapper.use_bfloat16
    assert {group['lr'] for group in wrapper.optimizer.param_groups} == {5e-4, 1e-3}


@pytest.mark.parametrize('head', ['heatmap', 'cpm', 'mspn', 'cpn'])
def test_training_steps_of_mmposes_heads(head):
    _, net = build_sstn(head)
    net.train()
    forward = net.head.forward
    wrapper = wrap(net, precision='bfloat16')
    wrapper.initialize_count_status(net, 0, 1)
    before = [p.detach().clone() for p in net.head.parameters()]
    data = dict(inputs=list(sstn_crops()), data_samples=sstn_samples(head))
    log = net.train_step(data, wrapper)
    assert log['loss'].isfinite()
    changed = [
        not torch.equal(a, b)
        for a, b in zip(before, net.head.parameters(), strict=True)
    ]
    assert any(changed)
    assert net.head.forward == forward  # the head is as before
