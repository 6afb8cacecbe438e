# SPDX-License-Identifier: Apache-2.0
"""The extension module ``mmcv._ext`` on torchvision's operators.

``mmcv-lite`` contains the Python part of ``mmcv.ops`` without the compiled extension.
This module has the functions of the extension that MMPose and MMDetection use, with the
signatures that ``mmcv/ops/*.py`` of mmcv 2.x call. Any other operator raises
:class:`NotImplementedError` when it is called.

The functions write their result into a tensor of the caller, as those of mmcv do. They
run on the device of their inputs. Half precision is computed in float32.

``mmcv/_ext.py``, which ``rmpe operators`` writes, imports this module. It imports
torch, torchvision and numpy only, because ``mmcv.ops`` is being imported at that time.
"""

import numpy as np
import torch
import torchvision
from torch import Tensor
from torch.nn.functional import embedding_bag

__all__ = [
    '__getattr__',
    'deform_conv_backward_input',
    'deform_conv_backward_parameters',
    'deform_conv_forward',
    'get_compiler_version',
    'get_compiling_cuda_version',
    'modulated_deform_conv_backward',
    'modulated_deform_conv_forward',
    'ms_deform_attn_backward',
    'ms_deform_attn_forward',
    'nms',
    'nms_match',
    'roi_align_backward',
    'roi_align_forward',
    'roi_pool_backward',
    'roi_pool_forward',
    'sigmoid_focal_loss_backward',
    'sigmoid_focal_loss_forward',
    'softnms',
]

FLT_MIN = torch.finfo(torch.float32).tiny
COMPILE = 'pip uninstall -y mmcv-lite && pip install --no-build-isolation mmcv==2.1.0'


def __getattr__(name: str):
    """Return a function that raises, for an operator that this module does not have."""
    if name.startswith('__'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*args, **kwargs):
        raise NotImplementedError(
            f'mmcv operator {name!r} needs a compiled mmcv, but mmcv._ext is '
            f'rmpe_plugin.compat.mmcv_ext. Compile mmcv: {COMPILE}'
        )

    return missing


def get_compiler_version() -> str:
    """Describe this module, for MMEngine's ``collect_env``."""
    return f'none (rmpe_plugin.compat on torchvision {torchvision.__version__})'


def get_compiling_cuda_version() -> str:
    """CUDA version of torch, because torchvision's operators are those that run."""
    return torch.version.cuda or 'not available'


# --------------------------------------------------------------------- box suppression


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Non-maximum suppression.

    Equal scores keep the order of the input.

    Args:
        boxes (Tensor): Boxes (N, 4), xyxy.
        scores (Tensor): Scores (N,).
        iou_threshold (float): Boxes with a larger IoU are suppressed.
        offset (int): Width and height are ``x2 - x1 + offset``, 0 or 1.

    Returns:
        Tensor: Indices of the kept boxes (M,), by decreasing score.
    """
    boxes = _full_precision(boxes)
    if offset:
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), 1)
    # mmcv compares in float32. An IoU of 0.6 must not exceed a threshold of 0.6.
    threshold = float(np.float32(iou_threshold))
    return torchvision.ops.nms(boxes, _full_precision(scores), threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS, which lowers the scores of overlapping boxes.

    Source: Bodla et al., Soft-NMS, ICCV 2017. The order of boxes with equal scores is
    that of mmcv, where the last box fills the place of a removed one.

    Args:
        boxes (Tensor): Boxes (N, 4), xyxy, on the CPU.
        scores (Tensor): Scores (N,).
        dets (Tensor): Output (N, 5); the first M rows are kept boxes and their scores.
        iou_threshold (float): Boxes with at least this IoU are suppressed; without
            effect for the method 2.
        sigma (float): Parameter of the method 2.
        min_score (float): Boxes with a lower score are removed.
        method (int): Factor of the score: 0 (naive), 1 - IoU (1, linear) or
            exp(-IoU^2 / sigma) (2, gaussian).
        offset (int): Width and height are ``x2 - x1 + offset``, 0 or 1.

    Returns:
        Tensor: Indices of the kept boxes (M,), in the order of their selection.
    """
    boxes = _full_precision(boxes.detach()).numpy()
    scores = _full_precision(scores.detach()).numpy()
    # Columns: corners, area, score. Rows of NumPy, which are contiguous, are faster.
    state = np.vstack((boxes.T, _area(boxes.T, offset), scores))
    index, kept, rows = np.arange(len(boxes)), [], []
    while len(index):
        first = _index_of_maximum(state[5])
        if first:
            state[:, [0, first]] = state[:, [first, 0]]
            index[[0, first]] = index[[first, 0]]
        best, state = state[:, 0].copy(), state[:, 1:]
        kept.append(index[0])
        rows.append(best)
        index = index[1:]
        iou = _iou(best, state, offset)
        if method == 2:
            state[5] *= np.exp(-(iou * iou) / boxes.dtype.type(sigma))
        else:
            overlaps = iou >= iou_threshold
            state[5, overlaps] *= (1 - iou[overlaps]) * (method == 1)
        removed = state[5] < min_score
        if removed.any():
            order = _without(removed)
            state, index = state[:, order], index[order]
    if rows:
        dets[: len(kept)] = torch.from_numpy(np.stack(rows)[:, [0, 1, 2, 3, 5]])
    return torch.tensor(kept, dtype=torch.long)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group each kept box of a non-maximum suppression with those that it suppresses.

    Args:
        dets (Tensor): Boxes and scores (N, 5), on the CPU.
        iou_threshold (float): Boxes with at least this IoU are suppressed.

    Returns:
        list[list[int]]: Indices of each group, by decreasing score.
    """
    boxes = _full_precision(dets.detach()).numpy()
    state = np.vstack((boxes[:, :4].T, _area(boxes.T, 0)))
    remaining, groups = np.argsort(-boxes[:, 4], kind='stable'), []
    while len(remaining):
        best, remaining = remaining[0], remaining[1:]
        matched = _iou(state[:, best], state[:, remaining], 0) >= iou_threshold
        groups.append([int(best), *remaining[matched].tolist()])
        remaining = remaining[~matched]
    return groups


def _area(boxes: np.ndarray, offset: int) -> np.ndarray:
    """Area (N,) of boxes (4, N)."""
    return (boxes[2] - boxes[0] + offset) * (boxes[3] - boxes[1] + offset)


def _iou(box: np.ndarray, boxes: np.ndarray, offset: int) -> np.ndarray:
    """IoU of a box with others, rows as in softnms; NaN if both have no area."""
    width = np.minimum(box[2], boxes[2]) - np.maximum(box[0], boxes[0]) + offset
    height = np.minimum(box[3], boxes[3]) - np.maximum(box[1], boxes[1]) + offset
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    with np.errstate(invalid='ignore'):
        return intersection / (box[4] + boxes[4] - intersection)


def _index_of_maximum(scores: np.ndarray) -> int:
    """First maximum in a scan that starts with the first score and skips NaN."""
    first = int(scores.argmax())
    if not np.isnan(scores[first]):
        return first
    # argmax prefers NaN.
    return 0 if np.isnan(scores[0]) else int(np.nanargmax(scores))


def _without(removed: np.ndarray) -> np.ndarray:
    """Order in which the last items fill the places of removed ones."""
    count = len(removed) - removed.sum()
    order = np.arange(count)
    order[removed[:count]] = np.flatnonzero(~removed[count:])[::-1] + count
    return order


# ------------------------------------------------------------------- pooling of regions


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign with average pooling.

    Args:
        input (Tensor): Features (B, C, H, W).
        rois (Tensor): Image index and box (N, 5).
        output (Tensor): Output (N, C, ``aligned_height``, ``aligned_width``).
        argmax_y (Tensor): Not used.
        argmax_x (Tensor): Not used.
        aligned_height (int): Height of the output.
        aligned_width (int): Width of the output.
        spatial_scale (float): Feature pixels per pixel of the boxes.
        sampling_ratio (int): Samples per bin and axis; 0 for one per feature pixel.
        pool_mode (int): 1 (average).
        aligned (bool): Whether boxes are shifted by half a feature pixel.

    Raises:
        NotImplementedError: If ``pool_mode`` is 0 (maximum).
    """
    _check_average(pool_mode)
    result = torchvision.ops.roi_align(
        _full_precision(input),
        _full_precision(rois),
        (aligned_height, aligned_width),
        spatial_scale,
        sampling_ratio,
        aligned,
    )
    output.copy_(result)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward`, written into ``grad_input``.

    Raises:
        NotImplementedError: If ``pool_mode`` is 0 (maximum).
    """
    _check_average(pool_mode)
    result = torch.ops.torchvision._roi_align_backward(
        _full_precision(grad_output),
        _full_precision(rois),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(result)


def _check_average(pool_mode: int) -> None:
    """Raise for RoIAlign with maximum pooling, which torchvision does not have."""
    if pool_mode != 1:
        __getattr__("roi_align with pool_mode='max'")()


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Maximum of the features in each bin of each region.

    mmcv does not round the corners of a region, torchvision does. Therefore each bin,
    which has whole pixels in both, is passed to torchvision as a region of one bin.

    Args:
        input (Tensor): Features (B, C, H, W).
        rois (Tensor): Image index and box (N, 5).
        output (Tensor): Output (N, C, ``pooled_height``, ``pooled_width``); 0 for bins
            without pixels.
        argmax (Tensor): Output, index of the maximum in the H x W pixels; -1 for bins
            without pixels.
        pooled_height (int): Height of the output.
        pooled_width (int): Width of the output.
        spatial_scale (float): Feature pixels per pixel of the boxes.
    """
    features, rois = _full_precision(input), _full_precision(rois)
    height, width = input.shape[2:]
    left, right = _bins(rois[:, 1], rois[:, 3], spatial_scale, pooled_width, width)
    top, bottom = _bins(rois[:, 2], rois[:, 4], spatial_scale, pooled_height, height)
    index, left, top, right, bottom = torch.broadcast_tensors(
        rois[:, 0, None, None],
        left[:, None],
        top[:, :, None],
        right[:, None],
        bottom[:, :, None],
    )
    # The corners of torchvision's regions belong to them.
    bins = torch.stack((index, left, top, right - 1, bottom - 1), -1).flatten(0, 2)
    maximum, position = torch.ops.torchvision.roi_pool(features, bins, 1.0, 1, 1)
    empty = ((right <= left) | (bottom <= top))[:, None]
    shape = (len(rois), pooled_height, pooled_width, input.shape[1])
    maximum = maximum.reshape(shape).permute(0, 3, 1, 2)
    position = position.reshape(shape).permute(0, 3, 1, 2)
    output.copy_(maximum.masked_fill(empty, 0))
    argmax.copy_(position.masked_fill(empty, -1))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradient of :func:`roi_pool_forward`, added to ``grad_input``."""
    position = argmax.long()
    image = rois[:, 0].long()[:, None, None, None]
    channel = torch.arange(grad_input.shape[1], device=rois.device)[:, None, None]
    gradient = _full_precision(grad_input)
    gradient.flatten(2).index_put_(
        (image, channel, position.clamp(min=0)),
        _full_precision(grad_output).masked_fill(position < 0, 0),
        accumulate=True,
    )
    grad_input.copy_(gradient)


def _bins(
    low: Tensor, high: Tensor, scale: float, count: int, size: int
) -> tuple[Tensor, Tensor]:
    """First and last + 1 pixel (N, ``count``) of the bins of regions along an axis."""
    low, high = low[:, None] * scale, (high[:, None] + 1) * scale
    bins = torch.arange(count + 1, device=low.device, dtype=low.dtype)
    edges = bins * ((high - low) / count) + low
    first = edges[:, :-1].floor().clamp(0, size)
    last = edges[:, 1:].ceil().clamp(0, size)
    # A region without area has no pixels.
    return first, torch.where(high > low, last, first)


# -------------------------------------------------------------------------- focal loss


def sigmoid_focal_loss_forward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Focal loss of each class.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5.

    Args:
        input (Tensor): Logits (N, C).
        target (Tensor): Class of each sample (N,); C for background.
        weight (Tensor): Weight of each class (C,), or empty.
        output (Tensor): Output (N, C).
        gamma (float): Exponent of the modulating factor.
        alpha (float): Weight of the positive class.
    """
    p = _full_precision(input).sigmoid()
    loss = torch.where(
        _is_class(target, input),
        -alpha * (1 - p) ** gamma * _log(p),
        -(1 - alpha) * p**gamma * _log(1 - p),
    )
    output.copy_(loss * weight[target, None] if weight.numel() else loss)


def sigmoid_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Gradient of the sum of :func:`sigmoid_focal_loss_forward`, into ``grad_input``.

    Source: the same paper, appendix B.
    """
    p = _full_precision(input).sigmoid()
    grad = torch.where(
        _is_class(target, input),
        -alpha * (1 - p) ** gamma * (1 - p - gamma * p * _log(p)),
        (1 - alpha) * p**gamma * (p - gamma * (1 - p) * _log(1 - p)),
    )
    grad_input.copy_(grad * weight[target, None] if weight.numel() else grad)


def _is_class(target: Tensor, logits: Tensor) -> Tensor:
    """Whether each sample is of each class, bool (N, C)."""
    return target[:, None] == torch.arange(logits.shape[1], device=target.device)


def _log(p: Tensor) -> Tensor:
    """Logarithm of a probability, finite at 0."""
    return p.clamp(min=FLT_MIN).log()


# ------------------------------------------------------------- deformable convolutions


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Deformable convolution.

    Source: Dai et al., Deformable Convolutional Networks, ICCV 2017.

    Args:
        input (Tensor): Features (B, C, H, W).
        weight (Tensor): Kernel (D, C / ``group``, ``kH``, ``kW``).
        offset (Tensor): Offsets (B, 2 * ``deformable_group`` * ``kH`` * ``kW``, H',
            W'), (y, x) of each element of the kernel, pixels.
        output (Tensor): Output (B, D, H', W').
        columns (Tensor): Not used.
        ones (Tensor): Not used.
        kW (int): Not used, as the kernel has a shape; so is ``kH``.
        kH (int): Not used.
        dW (int): Horizontal stride.
        dH (int): Vertical stride.
        padW (int): Horizontal padding.
        padH (int): Vertical padding.
        dilationW (int): Horizontal dilation.
        dilationH (int): Vertical dilation.
        group (int): Groups of channels.
        deformable_group (int): Groups of channels that share offsets.
        im2col_step (int): Not used.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    tensors = (input, weight, offset, None, None)
    output.copy_(_run_deform_conv('deform_conv2d', (), tensors, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Gradients of :func:`deform_conv_forward` by the features and the offsets."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    tensors = (input, weight, offset, None, None)
    outputs = (gradInput, None, gradOffset)
    _write_deform_conv_gradients(gradOutput, tensors, geometry, outputs)


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Gradient of :func:`deform_conv_forward` by the kernel, times ``scale``."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    # This gradient does not depend on the kernel, which mmcv does not pass.
    tensors = (input, torch.zeros_like(gradWeight), offset, None, None)
    _write_deform_conv_gradients(
        gradOutput * scale, tensors, geometry, (None, gradWeight)
    )


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Deformable convolution with a mask (B, ``deformable_group`` * kH * kW, H', W').

    Source: Zhu et al., Deformable ConvNets v2, CVPR 2019. The other arguments are those
    of :func:`deform_conv_forward`; ``bias`` (D,) is used if ``with_bias`` is true.
    """
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w)
    geometry += (group, deformable_group)
    tensors = (input, weight, offset, mask, bias if with_bias else None)
    output.copy_(_run_deform_conv('deform_conv2d', (), tensors, geometry))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Gradients of :func:`modulated_deform_conv_forward`, written into ``grad_*``."""
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w)
    geometry += (group, deformable_group)
    tensors = (input, weight, offset, mask, bias if with_bias else None)
    outputs = (grad_input, grad_weight, grad_offset, grad_mask)
    outputs += (grad_bias if with_bias else None,)
    _write_deform_conv_gradients(grad_output, tensors, geometry, outputs)


def _run_deform_conv(
    name: str,
    grad: tuple[Tensor, ...],
    tensors: tuple[Tensor | None, ...],
    geometry: tuple[int, ...],
) -> Tensor | tuple[Tensor, ...]:
    """Call torchvision's convolution or its gradient, without mask and bias if None."""
    input, weight, offset, mask, bias = tensors
    with_mask = mask is not None
    mask = mask if with_mask else input.new_zeros(len(input), 1)
    bias = bias if bias is not None else input.new_zeros(len(weight))
    tensors = map(_full_precision, (*grad, input, weight, offset, mask, bias))
    return getattr(torch.ops.torchvision, name)(*tensors, *geometry, with_mask)


def _write_deform_conv_gradients(
    grad: Tensor,
    tensors: tuple[Tensor | None, ...],
    geometry: tuple[int, ...],
    outputs: tuple[Tensor | None, ...],
) -> None:
    """Compute the gradients by all tensors and write those that have an output."""
    name = '_deform_conv2d_backward'
    gradients = list(_run_deform_conv(name, (grad,), tensors, geometry))
    # Samples exactly one pixel outside have no gradient in mmcv, but in torchvision. In
    # a padding, all zero offsets, from which training starts, lead to such samples.
    outside = _one_pixel_outside(*tensors[1:3], geometry)
    gradients[2] = gradients[2].masked_fill(outside, 0)
    for output, gradient in zip(outputs, gradients, strict=False):
        if output is not None:
            output.copy_(gradient)


def _one_pixel_outside(
    weight: Tensor, offset: Tensor, geometry: tuple[int, ...]
) -> Tensor:
    """Which coordinates of samples are exactly -1, bool, shape of the offsets."""
    kernel, size = weight.shape[2:], offset.shape[2:]
    y, x = (
        torch.arange(kernel[i], device=offset.device)[:, None] * geometry[4 + i]
        + torch.arange(size[i], device=offset.device) * geometry[i]
        - geometry[2 + i]
        for i in range(2)
    )
    y = y[:, None, :, None].expand(*kernel, *size)
    x = x[None, :, None, :].expand(*kernel, *size)
    grid = torch.stack((y, x), 2).flatten(0, 2)
    position = _full_precision(offset).unflatten(1, (-1, len(grid))) + grid
    return (position == -1).flatten(1, 2)


# ---------------------------------------------------- multi-scale deformable attention


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention.

    Source: Zhu et al., Deformable DETR, ICLR 2021, equation 3.

    Args:
        value (Tensor): Values (B, S, M, C) of the S pixels of all levels and M heads.
        value_spatial_shapes (Tensor): Height and width of each level (L, 2).
        value_level_start_index (Tensor): First of the S pixels of each level (L,).
        sampling_locations (Tensor): Locations (B, Q, M, L, P, 2), (x, y); 0 and 1 are
            the borders of a level.
        attention_weights (Tensor): Weights (B, Q, M, L, P).
        im2col_step (int): Not used.

    Returns:
        Tensor: Weighted sum of the sampled values (B, Q, M * C).
    """
    tensors = map(_full_precision, (value, sampling_locations, attention_weights))
    return _attend(*tensors, value_spatial_shapes, value_level_start_index).to(value)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, written into ``grad_*``."""
    tensors = [
        _full_precision(tensor.detach()).requires_grad_()
        for tensor in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = _attend(*tensors, value_spatial_shapes, value_level_start_index)
    gradients = torch.autograd.grad(output, tensors, _full_precision(grad_output))
    for target, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        target.copy_(gradient)


def _attend(
    value: Tensor, locations: Tensor, attention: Tensor, shapes: Tensor, start: Tensor
) -> Tensor:
    """Sum of the pixels around all locations, weighted by attention and distance."""
    # The sum over levels, points and four pixels is one embedding_bag, which does not
    # read the shapes of the levels on the host, as grid_sample of each level would.
    batch, pixels, heads, channels = value.shape
    size = shapes.flip(1)[:, None]  # (L, 1, 2), width and height
    location = locations * size - 0.5
    corner = location.detach().floor()
    fraction = (location - corner)[..., None, :]
    step = torch.arange(4, device=value.device)
    step = torch.stack((step % 2, step // 2), -1)
    pixel = corner[..., None, :].long() + step  # (B, Q, M, L, P, 4, 2)
    inside = ((pixel >= 0) & (pixel < size[:, None])).all(-1)
    # Exactly one pixel outside the weight is 0. In mmcv, so is its derivative.
    inside &= (location > -1).all(-1, keepdim=True)
    bilinear = torch.where(step == 1, fraction, 1 - fraction).prod(-1)
    weight = bilinear * attention[..., None]
    # Rows of the table are (B, S, M).
    row = start[:, None, None] + pixel[..., 1] * size[:, None, :, 0] + pixel[..., 0]
    image = torch.arange(batch, device=value.device)[:, None, None, None, None, None]
    head = torch.arange(heads, device=value.device)[:, None, None, None]
    row = (image * pixels + row) * heads + head
    bags = batch * locations.shape[1] * heads
    output = embedding_bag(
        row.masked_fill(~inside, 0).reshape(bags, -1),
        value.reshape(-1, channels),
        mode='sum',
        per_sample_weights=weight.masked_fill(~inside, 0).reshape(bags, -1),
    )
    return output.reshape(batch, -1, heads * channels)


def _full_precision(tensor: Tensor) -> Tensor:
    """Convert half precision, for which not all operators have a CPU kernel."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor
