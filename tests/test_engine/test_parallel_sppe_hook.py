# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmpose.registry import HOOKS

from tests.test_models.test_sstn import build


@pytest.mark.parametrize('wrap', [lambda net: net, torch.nn.DataParallel])
def test_fills_it_with_the_weights_that_are_there(wrap):
    sstn, _ = build('cpn', parallel=dict())
    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.25)
    hook = HOOKS.build(dict(type='ParallelSPPEHook'))
    hook.before_train(SimpleNamespace(model=wrap(sstn), _resume=False))
    assert (sstn._parallel_sppe[0].backbone.conv1.weight == 0.25).all()


@pytest.mark.parametrize('plain', [True, False])
def test_nothing_to_fill_is_an_error(plain):
    nets = build('cpn')
    hook = HOOKS.build(dict(type='ParallelSPPEHook'))
    with pytest.raises(ValueError, match='model.parallel is not set'):
        hook.before_train(SimpleNamespace(model=nets[plain], _resume=False))


def test_a_resumed_run_has_the_weights_of_the_checkpoint_again():
    sstn, _ = build('cpn', parallel=dict())
    hook = HOOKS.build(dict(type='ParallelSPPEHook'))
    runner = SimpleNamespace(model=sstn, _resume=False)
    hook.before_train(runner)
    frozen = sstn._parallel_sppe[0].backbone.conv1.weight.clone()
    checkpoint = {}
    hook.before_save_checkpoint(runner, checkpoint)

    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.25)
    hook = HOOKS.build(dict(type='ParallelSPPEHook'))
    runner._resume = True
    with pytest.raises(ValueError, match='no checkpoint with a parallel SPPE'):
        hook.before_train(runner)
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert torch.equal(sstn._parallel_sppe[0].backbone.conv1.weight, frozen)

    # a checkpoint that a new training starts from
    runner._resume = False
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert (sstn._parallel_sppe[0].backbone.conv1.weight == 0.25).all()
