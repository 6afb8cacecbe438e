# SPDX-License-Identifier: Apache-2.0
"""Online hard keypoint mining (CPN, section 3.2.2)."""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _KeypointMSE(Function):
    """Mean squared error of every heatmap, with one tensor of the heatmaps' size.

    The loss is bound by memory: plain autograd makes three such tensors, forward and
    back. Here the difference made in the forward pass becomes the gradient, in place.
    """

    @staticmethod
    def forward(ctx, pred: Tensor, target: Tensor) -> Tensor:
        error = (pred - target).flatten(2)
        ctx.save_for_backward(pred, target)
        ctx.error = error
        return torch.linalg.vector_norm(error, dim=2).square() / error.shape[2]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        pred, target = ctx.saved_tensors
        # Used up by the first backward pass; one more (retain_graph) makes it anew.
        error, ctx.error = ctx.error, None
        if error is None:
            error = (pred - target).flatten(2)
        error.mul_((grad * (2 / error.shape[2]))[..., None])
        to_pred = error.view_as(pred).to(pred.dtype)
        return to_pred, -to_pred if ctx.needs_input_grad[1] else None


def keypoint_mse(pred: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of every keypoint's heatmap.

    Args:
        pred (Tensor): Predicted heatmaps (B, K, H, W).
        target (Tensor): Target heatmaps (B, K, H, W).

    Returns:
        Tensor: Losses (B, K). They can be differentiated once.
    """
    return _KeypointMSE.apply(pred, target)


def hard_keypoint_loss(losses: Tensor, topk: int) -> Tensor:
    """Average the ``topk`` largest keypoint losses of every sample.

    The sum is divided by ``topk`` also where fewer keypoints are labelled: a sample
    with little to learn from weighs little. This is what both public CPN
    implementations do (github.com/chenyilun95/tf-cpn,
    github.com/GengDavid/pytorch-cpn).

    Args:
        losses (Tensor): Loss of every keypoint (B, K), already weighted.
        topk (int): How many keypoints count in each sample, 1 to K. The paper
            takes 8 of 17.

    Returns:
        Tensor: Scalar mean over the batch; for B = 0 a zero that carries a gradient.

    Raises:
        ValueError: If ``topk`` is not in 1 to K.

    Example:
        >>> hard_keypoint_loss(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), topk=2)
        tensor(3.5000)
    """
    num_keypoints = losses.shape[1]
    if not 1 <= topk <= num_keypoints:
        raise ValueError(
            f'topk must be 1 to {num_keypoints}, the number of keypoints, got {topk}'
        )
    if len(losses) == 0:
        return losses.sum() * 0
    return losses.topk(topk, dim=1, sorted=False).values.mean()
