# SPDX-License-Identifier: Apache-2.0
"""State dicts, copies and pickles of an SSTN, before and after a training step."""

import copy
import pickle

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict
from mmengine.runner.checkpoint import load_state_dict as mmengine_load_state_dict

from tests.factories import (
    SPPES,
    build_sstn,
    set_stn_bias,
    sstn_crops,
    sstn_samples,
)


def train_one_step(sstn, sppe):
    optimizer = torch.optim.SGD(sstn.parameters(), lr=1e-3)
    losses = sstn.train()(sstn_crops(), sstn_samples(sppe), mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    optimizer.step()


@torch.no_grad()
def assert_equal_losses(sstn, other, sppe):
    expected = sstn.train()(sstn_crops(), sstn_samples(sppe), mode='loss')
    losses = other.train()(sstn_crops(), sstn_samples(sppe), mode='loss')
    assert losses.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(losses[name], expected[name])


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.slow
@pytest.mark.parametrize('parallel', [None, dict()], ids=['', 'parallel'])
@pytest.mark.parametrize('make_copy', [copy.deepcopy, pickled])
@pytest.mark.parametrize('sppe', SPPES)
def test_copies_are_equal_and_independent(sppe, make_copy, parallel):
    sstn, _ = build_sstn(sppe, parallel=parallel)
    if parallel is not None:
        sstn.init_parallel_sppe()
    set_stn_bias(sstn, 0.1, 0.0, 0.1)

    untrained = make_copy(sstn)
    assert (untrained.parallel_sppe is not None) == (parallel is not None)
    assert_equal_losses(sstn, untrained, sppe)

    before = copy.deepcopy(untrained.state_dict())
    train_one_step(sstn, sppe)
    assert not torch.equal(sstn.stn.fc.bias, untrained.stn.fc.bias)
    for key, value in untrained.state_dict().items():
        assert torch.equal(value, before[key]), key

    assert_equal_losses(sstn, make_copy(sstn), sppe)


@pytest.mark.parametrize('get_state', [lambda m: m.state_dict(), get_state_dict])
@pytest.mark.parametrize('parallel', [None, dict()], ids=['', 'parallel'])
@pytest.mark.parametrize('sppe', SPPES)
def test_state_dict_is_that_of_the_plain_estimator_and_the_stn(
    sppe, parallel, get_state
):
    sstn, plain = build_sstn(sppe, parallel=parallel)
    if parallel is not None:
        sstn.init_parallel_sppe()
        train_one_step(sstn, sppe)
    stn = {f'stn.{key}' for key in sstn.stn.state_dict()}
    assert {'stn.fc.weight', 'stn.fc.bias', 'stn.backbone.conv1.weight'} <= stn
    assert set(get_state(sstn)) == set(plain.state_dict()) | stn


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_loads_strictly_with_and_without_a_parallel_sppe(prefix):
    source, _ = build_sstn('cpn')
    torch.nn.init.constant_(source.backbone.conv1.weight, 0.5)
    target, _ = build_sstn('cpn', parallel=dict())
    target.init_parallel_sppe()
    frozen = copy.deepcopy(target.parallel_sppe.state_dict())
    state = {f'{prefix}{key}': value for key, value in source.state_dict().items()}
    wrapped = torch.nn.DataParallel(target) if prefix else target
    wrapped.load_state_dict(state, strict=True)
    assert (target.backbone.conv1.weight == 0.5).all()
    for key, value in target.parallel_sppe.state_dict().items():
        assert torch.equal(value, frozen[key]), key
    with pytest.raises(RuntimeError, match='Missing key.*backbone.bn1.weight'):
        wrapped.load_state_dict(
            {k: v for k, v in state.items() if k != f'{prefix}backbone.bn1.weight'}
        )


def test_mmengine_loads_strictly_with_a_parallel_sppe():
    source, _ = build_sstn('cpn')
    target, _ = build_sstn('cpn', parallel=dict())
    target.init_parallel_sppe()
    mmengine_load_state_dict(target, source.state_dict(), strict=True)
