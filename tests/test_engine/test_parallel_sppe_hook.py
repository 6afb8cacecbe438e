# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch._subclasses import FakeTensorMode
from torch.utils.data import DataLoader

from tests.factories import build_sstn, sstn_crops, sstn_samples

HOOK = dict(type='ParallelSPPEHook')


@pytest.mark.parametrize('wrap', [lambda net: net, torch.nn.DataParallel])
def test_copies_the_loaded_weights_before_training(wrap):
    sstn, _ = build_sstn('cpn', parallel=dict())
    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.25)
    hook = HOOKS.build(HOOK)
    hook.before_train(SimpleNamespace(model=wrap(sstn), _resume=False))
    assert (sstn.parallel_sppe.backbone.conv1.weight == 0.25).all()


@pytest.mark.parametrize('plain', [True, False])
def test_raises_if_the_model_has_no_parallel_sppe(plain):
    nets = build_sstn('cpn')
    hook = HOOKS.build(HOOK)
    with pytest.raises(ValueError, match='model.parallel is not set'):
        hook.before_train(SimpleNamespace(model=nets[plain], _resume=False))


def test_resumes_the_weights_of_the_checkpoint():
    sstn, _ = build_sstn('cpn', parallel=dict())
    hook = HOOKS.build(HOOK)
    runner = SimpleNamespace(model=sstn, _resume=False)
    hook.before_train(runner)
    frozen = sstn.parallel_sppe.backbone.conv1.weight.clone()
    checkpoint = {}
    hook.before_save_checkpoint(runner, checkpoint)

    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.25)
    hook = HOOKS.build(HOOK)
    runner._resume = True
    with pytest.raises(ValueError, match='no checkpoint with a parallel SPPE'):
        hook.before_train(runner)
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert torch.equal(sstn.parallel_sppe.backbone.conv1.weight, frozen)

    # load_from: a new training starts with the weights of the model
    runner._resume = False
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert (sstn.parallel_sppe.backbone.conv1.weight == 0.25).all()


class NoMetric(Evaluator):
    """Evaluator without metrics, so that validation runs."""

    def __init__(self):
        super().__init__([])

    def process(self, data_samples, data_batch=None):
        pass

    def evaluate(self, size):
        return {}


def run_training(work_dir, *hooks, **kwargs):
    """Train an SSTN with a parallel SPPE for an epoch of two steps, and validate."""
    sstn, _ = build_sstn('cpn', parallel=dict())
    samples = [
        dict(inputs=x, data_samples=sample)
        for x, sample in zip(sstn_crops(4), sstn_samples('cpn', 4), strict=True)
    ]
    loader = DataLoader(samples, batch_size=2, collate_fn=pseudo_collate)
    runner = Runner(
        sstn,
        work_dir=str(work_dir),
        train_dataloader=loader,
        val_dataloader=loader,
        val_evaluator=NoMetric(),
        train_cfg=dict(by_epoch=True, max_epochs=1, val_interval=1),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        custom_hooks=[*hooks, HOOK],
        default_scope='mmpose',
        experiment_name=work_dir.name,
        **kwargs,
    )
    runner.train()
    return runner


def test_runner_neither_optimises_nor_saves_it_with_the_model(tmp_path):
    runner = run_training(tmp_path)
    sstn = runner.model
    optimised = {
        id(p) for group in runner.optim_wrapper.param_groups for p in group['params']
    }
    frozen = {id(p) for p in sstn.parallel_sppe.parameters()}
    assert frozen
    assert not optimised & frozen
    assert optimised == {id(p) for p in sstn.parameters()}
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
    assert checkpoint['state_dict'].keys() == sstn.state_dict().keys()
    assert checkpoint['parallel_sppe'].keys() == sstn.parallel_sppe.state_dict().keys()


@pytest.mark.parametrize('update_buffers', [False, True])
def test_ema_averages_the_model_and_keeps_the_parallel_sppe(tmp_path, update_buffers):
    start, _ = build_sstn('cpn')
    torch.save(dict(state_dict=start.state_dict()), tmp_path / 'start.pth')
    ema = dict(type='EMAHook', update_buffers=update_buffers, momentum=0.25)
    runner = run_training(tmp_path, ema, load_from=str(tmp_path / 'start.pth'))
    for key, value in runner.model.parallel_sppe.state_dict().items():
        assert torch.equal(value.cpu(), start.state_dict()[key]), key

    # EMAHook saves the averaged weights as state_dict, and the trained ones apart.
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', 'cpu', weights_only=False)
    averaged, trained = checkpoint['state_dict'], checkpoint['ema_state_dict']
    assert averaged.keys() == runner.model.state_dict().keys()
    for key, value in runner.model.state_dict().items():
        assert torch.equal(trained[f'module.{key}'], value.cpu()), key
    # The STN's gradient can vanish in the second step.
    weight = 'backbone.conv1.weight'
    assert not torch.equal(averaged[weight], trained[f'module.{weight}'])


def test_resumes_training_with_ema(tmp_path):
    ema = dict(type='EMAHook', update_buffers=True)
    first = run_training(tmp_path, ema).model.parallel_sppe
    checkpoint = str(tmp_path / 'epoch_1.pth')
    second = run_training(tmp_path, ema, resume=True, load_from=checkpoint)
    for key, value in second.model.parallel_sppe.state_dict().items():
        assert torch.equal(value, first.state_dict()[key]), key


def test_saves_the_weights_on_the_cpu():
    with FakeTensorMode():
        model = torch.nn.Module()
        model.parallel_cfg = {}
        model.parallel_sppe = torch.nn.Linear(2, 3, device='cuda')
        checkpoint = {}
        HOOKS.build(HOOK).before_save_checkpoint(
            SimpleNamespace(model=model), checkpoint
        )
        assert model.parallel_sppe.weight.device.type == 'cuda'
    devices = {x.device.type for x in checkpoint['parallel_sppe'].values()}
    assert devices == {'cpu'}
