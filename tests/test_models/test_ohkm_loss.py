# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.models.losses import KeypointMSELoss, KeypointOHKMMSELoss
from mmpose.registry import MODELS

from rmpe_plugin.models.losses import OHKMMSELoss


def heatmaps(batch=3, num_keypoints=17):
    torch.manual_seed(0)
    pred, target = torch.randn(2, batch, num_keypoints, 16, 12)
    weights = (torch.rand(batch, num_keypoints) > 0.4).float()
    return pred.requires_grad_(), target, weights


@pytest.mark.parametrize('topk', [1, 8, 17])
@pytest.mark.parametrize('use_target_weight', [True, False])
def test_equals_mmpose_for_weights_of_zero_and_one(topk, use_target_weight):
    settings = dict(use_target_weight=use_target_weight, topk=topk, loss_weight=0.7)
    gradients, losses = [], []
    for cls in (KeypointOHKMMSELoss, OHKMMSELoss):
        pred, target, weights = heatmaps()
        loss = cls(**settings)(pred, target, weights)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(pred.grad)
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_is_linear_in_weights():
    pred, target, weights = heatmaps()
    loss = OHKMMSELoss(use_target_weight=True, topk=8)
    half = loss(pred, target, 0.5 * weights)
    torch.testing.assert_close(half, 0.5 * loss(pred, target, weights))


def test_equals_mse_for_topk_of_all_keypoints():
    pred, target, weights = heatmaps()
    expected = KeypointMSELoss(use_target_weight=True)(pred, target, weights)
    loss = OHKMMSELoss(use_target_weight=True, topk=17)(pred, target, weights)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('topk', [6, 8, 10, 12, 14, 17])
def test_refine_loss_equals_reference(golden, topk):
    numbers = np.load(golden / 'cpn_losses.npz')
    tensor = {k: torch.from_numpy(numbers[k]) for k in numbers.files}
    weights = (tensor['coco_visibility'] > 0).float()
    loss = OHKMMSELoss(use_target_weight=True, topk=topk)(
        tensor['refine_output'], tensor['targets'][-1], weights
    )
    expected = tensor[f'refine_loss_top{topk}'].item()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_global_loss_equals_reference(golden):
    numbers = np.load(golden / 'cpn_losses.npz')
    visible = torch.from_numpy(numbers['coco_visibility'] > 1)[:, :, None, None]
    outputs, targets = (
        torch.from_numpy(numbers[k]) for k in ('global_outputs', 'targets')
    )
    for repository, weight in (('pytorch_cpn', 0.5), ('tf_cpn', 0.125)):
        loss = KeypointMSELoss(use_target_weight=True, loss_weight=weight)
        total = sum(
            loss(output, target * visible, torch.ones(3, 17))
            for output, target in zip(outputs, targets, strict=True)
        )
        expected = float(numbers[f'global_loss_{repository}'])
        assert total.item() == pytest.approx(expected, rel=1e-6)


def test_empty_batch():
    pred = torch.zeros(0, 17, 16, 12, requires_grad=True)
    loss = OHKMMSELoss(use_target_weight=True)(pred, pred.detach(), torch.zeros(0, 17))
    loss.backward()
    assert loss.item() == 0


def test_half_precision_does_not_overflow():
    pred = torch.full((1, 8, 16, 12), 255.0).half()
    loss = OHKMMSELoss()(pred, -torch.full((1, 8, 16, 12), 255.0))
    assert loss.item() == pytest.approx(510**2)


def test_raises_on_invalid_arguments():
    pred, target, _ = heatmaps(num_keypoints=5)
    with pytest.raises(ValueError, match='topk must be between 1 and 5.*got 8'):
        OHKMMSELoss()(pred, target)
    with pytest.raises(ValueError, match='topk must be at least 1'):
        OHKMMSELoss(topk=0)
    with pytest.raises(ValueError, match='needs target_weights'):
        OHKMMSELoss(use_target_weight=True, topk=2)(pred, target)


def test_builds_from_registry():
    loss = MODELS.build(dict(type='OHKMMSELoss', topk=3))
    assert loss.topk == 3
