# SPDX-License-Identifier: Apache-2.0
"""Online hard keypoint mining (CPN, section 3.2.2)."""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _KeypointMSE(Function):
    """Mean squared error per heatmap with one temporary tensor of their size."""

    # The loss is limited by memory bandwidth. Plain autograd allocates three such
    # tensors in the forward and the backward pass. Here the difference from the forward
    # pass is turned into the gradient in place.

    @staticmethod
    def forward(ctx, pred: Tensor, target: Tensor) -> Tensor:
        error = (pred - target).flatten(2)  # (B, K, H * W)
        ctx.save_for_backward(pred, target)
        ctx.error = error
        return torch.linalg.vector_norm(error, dim=2).square() / error.shape[2]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        pred, target = ctx.saved_tensors
        # The first backward pass overwrites the difference. A second one
        # (retain_graph=True) computes it again.
        error, ctx.error = ctx.error, None
        if error is None:
            error = (pred - target).flatten(2)
        error.mul_((grad * (2 / error.shape[2]))[..., None])
        pred_grad = error.view_as(pred).to(pred.dtype)
        return pred_grad, -pred_grad if ctx.needs_input_grad[1] else None


def keypoint_mse(pred: Tensor, target: Tensor) -> Tensor:
    """Compute the mean squared error of each keypoint's heatmap.

    Args:
        pred (Tensor): Predicted heatmaps (B, K, H, W).
        target (Tensor): Target heatmaps (B, K, H, W).

    Returns:
        Tensor: Losses (B, K). They can be differentiated once.

    Example:
        >>> target = torch.zeros(1, 2, 2, 2)
        >>> keypoint_mse(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1) + target, target)
        tensor([[1., 9.]])
    """
    return _KeypointMSE.apply(pred, target)


def hard_keypoint_loss(losses: Tensor, topk: int) -> Tensor:
    """Average the ``topk`` largest keypoint losses of each sample.

    The sum is divided by ``topk`` even if fewer keypoints are labelled, so such a
    sample has a smaller weight. Both public CPN implementations do this
    (github.com/chenyilun95/tf-cpn, github.com/GengDavid/pytorch-cpn).

    Args:
        losses (Tensor): Loss of each keypoint (B, K), already multiplied by its weight.
        topk (int): Number of keypoints per sample, from 1 to K. The paper uses 8 of 17.

    Returns:
        Tensor: Scalar mean over the batch. For B = 0 it is a zero connected to
        ``losses``, so that ``backward`` works.

    Raises:
        ValueError: If ``topk`` is not between 1 and K.

    Example:
        >>> hard_keypoint_loss(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), topk=2)
        tensor(3.5000)
    """
    num_keypoints = losses.shape[1]
    if not 1 <= topk <= num_keypoints:
        raise ValueError(
            f'topk must be between 1 and {num_keypoints}, the number of keypoints, '
            f'got {topk}'
        )
    if len(losses) == 0:
        return losses.sum() * 0
    return losses.topk(topk, dim=1, sorted=False).values.mean()
