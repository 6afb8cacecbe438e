# SPDX-License-Identifier: Apache-2.0
"""Fusion of batch normalisation into convolutions, for inference."""

from copy import deepcopy

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._pytree import tree_leaves

from .pose_graph import PoseGraph

# Of the largest value. GPUs convolve in TF32, with errors of about 0.001.
CPU_TOLERANCE, GPU_TOLERANCE = 1e-4, 1e-2


def fuse_conv_norms(model: nn.Module) -> nn.Module:
    """Fuse batch normalisation into the convolutions before it, in place.

    Modules must register their layers in the order in which they apply them, which is
    not verified, see :func:`fuse_batch_norms`.

    Args:
        model (nn.Module): Model in eval mode.

    Returns:
        nn.Module: The model.
    """
    for module in model.modules():
        _fuse_activated_norms(module)
    return fuse_conv_bn(model)


def _fuse_activated_norms(module: nn.Module) -> None:
    """Fuse timm's norms that contain the activation, which mmcv would remove."""
    before = None
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and hasattr(child, 'act') and before:
            conv = fuse_conv_bn_eval(getattr(module, before), child)
            setattr(module, before, conv)
            setattr(module, name, child.act)
            before = None
        if isinstance(child, nn.Conv2d):
            before = name


def fuse_batch_norms(graph: PoseGraph, input_size: tuple[int, int]) -> PoseGraph:
    """Fuse batch normalisation of a copy, and check the result.

    mmcv assumes that a module registers its layers in the order in which it applies
    them. The result is therefore compared with the original on a random crop.

    Args:
        graph (PoseGraph): A pose estimator in eval mode. It is not changed.
        input_size (tuple[int, int]): Size (w, h) of the crops, pixels.

    Returns:
        PoseGraph: A copy with fewer operations, or ``graph`` itself if the copy
        has other outputs; the log says so.
    """
    fused = deepcopy(graph)
    fuse_conv_norms(fused.model)
    device = next(graph.parameters()).device
    generator = torch.Generator().manual_seed(0)
    width, height = input_size
    crop = torch.randint(0, 256, (1, 3, height, width), generator=generator)
    with torch.inference_mode():
        expected, actual = (g.encoded(crop.to(device))[0] for g in (graph, fused))
    tolerance = CPU_TOLERANCE if device.type == 'cpu' else GPU_TOLERANCE
    pairs = list(zip(tree_leaves(actual), tree_leaves(expected), strict=True))
    if all(_is_close(*pair, tolerance) for pair in pairs):
        return fused
    print_log(
        'batch normalisation is not fused: the fused model has other outputs',
        logger='current',
    )
    return graph


def _is_close(actual: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether the largest difference is small beside the largest value, or 1."""
    limit = tolerance * max(1.0, float(expected.abs().max()))
    return torch.allclose(actual, expected, rtol=0, atol=limit)
