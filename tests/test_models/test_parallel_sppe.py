# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import pytest
import torch
from mmpose.registry import MODELS

from rmpe_plugin.models.pose_estimators import ParallelSPPE
from rmpe_plugin.ops import warp
from tests.factories import (
    SPPES,
    SSTN_INPUT,
    build_sstn,
    set_stn_bias,
    sstn_crops,
    sstn_samples,
)


def test_loss_equals_that_of_the_plain_estimator_on_the_window():
    sstn, plain = build_sstn('cpn', parallel=dict(loss_weight=0.3))
    sstn.train()
    sstn.init_parallel_sppe()
    set_stn_bias(sstn, 0.1, 0.0, 0.1)
    x = sstn_crops()
    losses = sstn(x, sstn_samples('cpn'), mode='loss')
    window = warp(x, sstn.stn(x), SSTN_INPUT)
    plain.eval()
    centred = [sample.centred for sample in sstn_samples('cpn')]
    expected = plain(window, centred, mode='loss')
    for name in ('loss_global', 'loss_refine'):
        torch.testing.assert_close(
            losses[f'parallel.{name}'], 0.3 * expected[name], rtol=1e-4, atol=1e-5
        )
    assert 'parallel.acc_pose' not in losses


def test_training_does_not_change_it():
    sstn, _ = build_sstn('cpn', parallel=dict())
    sstn.init_parallel_sppe()
    frozen = sstn.parallel_sppe
    before = deepcopy(frozen.state_dict())
    optimizer = torch.optim.SGD(sstn.parameters(), lr=0.1)
    for _ in range(2):
        sstn.train()
        losses = sstn(sstn_crops(), sstn_samples('cpn'), mode='loss')
        optimizer.zero_grad()
        sum(v for k, v in losses.items() if 'parallel' in k).backward()
        assert sstn.stn.fc.weight.grad.abs().max() > 0
        assert sstn.head.refine_net.norm.weight.grad is None
        optimizer.step()
    assert not any(m.training for m in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(p.grad is None for p in frozen.parameters())
    for key, value in frozen.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not torch.equal(
        sstn.backbone.bn1.running_mean, frozen.backbone.bn1.running_mean
    )


def test_moves_with_the_model_and_is_no_submodule():
    sstn, _ = build_sstn('cpn', parallel=dict())
    assert sstn.parallel_sppe is None
    modules, parameters = [*sstn.modules()], [*sstn.parameters()]
    sstn.init_parallel_sppe()
    assert [*map(id, sstn.modules())] == [*map(id, modules)]
    assert [*map(id, sstn.parameters())] == [*map(id, parameters)]
    sstn.double()
    assert sstn.parallel_sppe.backbone.conv1.weight.dtype == torch.float64
    sstn.to('meta')
    assert sstn.parallel_sppe.backbone.conv1.weight.is_meta


def test_copies_the_weights_of_the_model():
    sstn, _ = build_sstn('cpn', parallel=dict())
    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.5)
    sstn.init_parallel_sppe()
    torch.nn.init.constant_(sstn.backbone.conv1.weight, 0.25)
    assert (sstn.parallel_sppe.backbone.conv1.weight == 0.5).all()


def test_loads_the_weights_of_a_checkpoint(tmp_path):
    other = MODELS.build(dict(SPPES['cpn'], type='TopdownPoseEstimator'))
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'stage1.pth')
    sstn, _ = build_sstn('cpn', parallel=dict(checkpoint=str(tmp_path / 'stage1.pth')))
    sstn.init_parallel_sppe()
    state = other.state_dict()
    for key, value in sstn.parallel_sppe.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_resuming_does_not_need_the_checkpoint():
    sstn, _ = build_sstn('cpn', parallel=dict(checkpoint='deleted.pth'))
    state = ParallelSPPE(sstn).state_dict()
    state['backbone.conv1.weight'].fill_(0.5)
    sstn.init_parallel_sppe(state)
    assert (sstn.parallel_sppe.backbone.conv1.weight == 0.5).all()


@pytest.mark.parametrize('missing', ['backbone.', 'neck.', 'head.'])
def test_raises_on_a_checkpoint_without_a_part(missing, tmp_path):
    other = MODELS.build(dict(SPPES['neck'], type='TopdownPoseEstimator'))
    # The smallest model with a neck has one without parameters.
    other.neck.scale = torch.nn.Parameter(torch.ones(1))
    state = {k: v for k, v in other.state_dict().items() if not k.startswith(missing)}
    torch.save(dict(state_dict=state), tmp_path / 'stage1.pth')
    with pytest.raises(ValueError, match=f'stage1.pth does not fit.* {missing}'):
        ParallelSPPE(other, str(tmp_path / 'stage1.pth'))


def test_raises_on_a_checkpoint_of_another_network(tmp_path):
    torch.save({'foo.bar': torch.ones(1)}, tmp_path / 'other.pth')
    sstn, _ = build_sstn('cpn', parallel=dict(checkpoint=str(tmp_path / 'other.pth')))
    with pytest.raises(ValueError, match='other.pth does not fit.*contains foo.bar'):
        sstn.init_parallel_sppe()
