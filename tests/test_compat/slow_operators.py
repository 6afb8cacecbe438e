# SPDX-License-Identifier: Apache-2.0
"""Operators with loops over all elements, from the definitions of mmcv's CUDA kernels.

They are in float64 and differentiable by autograd.
"""

import math

import torch


def roi_pool(features, regions, size, scale):
    """Maximum of the pixels of each bin; the corners of a region are not rounded."""
    height, width = features.shape[2:]
    output = features.new_zeros(len(regions), features.shape[1], *size)
    for n, (image, *box) in enumerate(regions.tolist()):
        left, top, right, bottom = (x + i // 2 for i, x in enumerate(box))
        rows = bins(top * scale, bottom * scale, size[0], height)
        columns = bins(left * scale, right * scale, size[1], width)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                pixels = features[int(image), :, row, column]
                if pixels.numel():
                    output[n, :, i, j] = pixels.flatten(1).max(1).values
    return output


def bins(low, high, number, size):
    """Slices of pixels, empty for a region without area."""
    if high <= low:
        return [slice(0, 0)] * number
    step = (high - low) / number
    edges = [(i * step + low, (i + 1) * step + low) for i in range(number)]
    return [
        slice(*(min(max(x, 0), size) for x in (math.floor(first), math.ceil(last))))
        for first, last in edges
    ]


def focal_loss(logits, target, gamma, alpha, weight=None):
    """Loss of each sample and class; the class weight is that of the sample."""
    rows = []
    for row, label in zip(logits, target.tolist(), strict=True):
        losses = []
        for index, logit in enumerate(row):
            p = torch.sigmoid(logit)
            if index == label:
                loss = -alpha * (1 - p) ** gamma * torch.log(p)
            else:
                loss = -(1 - alpha) * p**gamma * torch.log(1 - p)
            losses.append(loss if weight is None else loss * weight[label])
        rows.append(torch.stack(losses))
    return torch.stack(rows)


def attention(value, shapes, start, locations, weights):
    """Multi-scale deformable attention; pixels outside of a level count as 0."""
    batch, _, heads, channels = value.shape
    output = []
    for b, q, m in indices(batch, locations.shape[1], heads):
        total = value.new_zeros(channels)
        for level, p in indices(*locations.shape[3:5]):
            height, width = shapes[level].tolist()
            first = int(start[level])
            pixels = value[b, first : first + height * width, m]
            x, y = locations[b, q, m, level, p]
            sample = bilinear(
                pixels.unflatten(0, (height, width)), x * width - 0.5, y * height - 0.5
            )
            total = total + weights[b, q, m, level, p] * sample
        output.append(total)
    return torch.stack(output).reshape(batch, locations.shape[1], heads * channels)


def bilinear(pixels, x, y):
    height, width = pixels.shape[:2]
    total = pixels.new_zeros(pixels.shape[2])
    if not (-1 < x < width and -1 < y < height):
        return total
    left, top = math.floor(x.item()), math.floor(y.item())
    for i, vertical in ((top, top + 1 - y), (top + 1, y - top)):
        for j, horizontal in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= i < height and 0 <= j < width:
                total = total + vertical * horizontal * pixels[i, j]
    return total


def indices(*sizes):
    return torch.cartesian_prod(*map(torch.arange, sizes)).tolist()
