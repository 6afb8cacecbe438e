# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmpe_plugin.ops import hard_keypoint_loss, keypoint_mse


def loop_keypoint_mse(pred, target):
    batch, num_keypoints, height, width = pred.shape
    losses = torch.zeros(batch, num_keypoints, dtype=pred.dtype)
    for b in range(batch):
        for k in range(num_keypoints):
            total = sum(
                (pred[b, k, y, x] - target[b, k, y, x]) ** 2
                for y in range(height)
                for x in range(width)
            )
            losses[b, k] = total / (height * width)
    return losses


def loop_hard_keypoint_loss(losses, topk):
    totals = [sum(sorted(row, reverse=True)[:topk]) / topk for row in losses.tolist()]
    return sum(totals) / len(totals)


def test_keypoint_mse_equals_loops(device, any_dtype):
    torch.manual_seed(0)
    pred, target = torch.randn(2, 2, 3, 5, 4).to(any_dtype)
    expected = loop_keypoint_mse(pred.double(), target.double()).to(device, any_dtype)
    actual = keypoint_mse(pred.to(device), target.to(device))
    torch.testing.assert_close(actual, expected)


@settings(deadline=None)
@given(
    batch=st.integers(1, 4),
    num_keypoints=st.integers(1, 20),
    data=st.data(),
    ties=st.booleans(),
)
def test_hard_keypoint_loss_equals_loops(batch, num_keypoints, data, ties):
    topk = data.draw(st.integers(1, num_keypoints))
    losses = torch.rand(batch, num_keypoints, dtype=torch.float64)
    if ties:
        losses = losses.round()
    expected = loop_hard_keypoint_loss(losses, topk)
    assert hard_keypoint_loss(losses, topk).item() == pytest.approx(expected)


def test_gradcheck(device):
    torch.manual_seed(0)
    pred, target = torch.randn(2, 2, 5, 3, 4, dtype=torch.float64, device=device)
    pred.requires_grad_()
    weights = torch.rand(2, 5, dtype=torch.float64, device=device)

    def loss(x):
        return hard_keypoint_loss(keypoint_mse(x, target) * weights, topk=3)

    assert torch.autograd.gradcheck(loss, (pred,))


def test_gradcheck_of_both_inputs_and_retained_graph():
    torch.manual_seed(0)
    pred, target = torch.randn(2, 2, 3, 4, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(keypoint_mse, (pred, target))
    loss = keypoint_mse(pred, target).sum()
    first = torch.autograd.grad(loss, pred, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(loss, pred)[0], first)
    torch.testing.assert_close(first, 2 / 8 * (pred - target).detach())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_input_has_half_precision_gradient(device, dtype):
    target = torch.rand(2, 3, 4, 5, device=device)
    pred = torch.rand(2, 3, 4, 5, device=device).to(dtype).requires_grad_()
    loss = keypoint_mse(pred, target)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert pred.grad.dtype == dtype
    expected = (2 / 20 * (pred.float() - target)).to(dtype).detach()
    torch.testing.assert_close(pred.grad, expected)


def test_gradient_is_zero_for_exact_prediction():
    target = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    pred = target.clone().requires_grad_()
    hard_keypoint_loss(keypoint_mse(pred, target), topk=3).backward()
    assert torch.equal(pred.grad, torch.zeros_like(target))


def test_only_hard_keypoints_have_gradient():
    pred = torch.arange(1.0, 6.0).view(1, 5, 1, 1).expand(1, 5, 2, 2)
    pred = pred.clone().requires_grad_()
    hard_keypoint_loss(keypoint_mse(pred, torch.zeros_like(pred)), topk=2).backward()
    nonzero = pred.grad.flatten(2).abs().amax(dim=2)[0] > 0
    assert nonzero.tolist() == [False, False, False, True, True]


def test_empty_batch_keeps_the_graph(device, any_dtype):
    losses = torch.zeros(0, 17, device=device, dtype=any_dtype, requires_grad=True)
    loss = hard_keypoint_loss(losses, topk=8)
    loss.backward()
    assert loss.item() == 0
    assert losses.grad.shape == (0, 17)


@pytest.mark.parametrize('topk', [0, -1, 18])
def test_raises_on_topk_out_of_range(topk):
    with pytest.raises(ValueError, match=f'between 1 and 17.*got {topk}'):
        hard_keypoint_loss(torch.zeros(1, 17), topk)
