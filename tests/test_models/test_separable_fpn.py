# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

IN, CHANNELS = (3, 5, 7), (2, 3, 4)
SIZES = ((12, 8), (6, 4), (3, 2))


@pytest.fixture
def neck():
    torch.manual_seed(0)
    config = dict(type='SeparableFPN', in_channels=IN, channels=CHANNELS)
    return MODELS.build(dict(config, top_channels=6)).double()


@pytest.fixture
def feats():
    rng = np.random.default_rng(1)
    return [
        torch.from_numpy(rng.normal(size=(2, c, *s)))
        for c, s in zip(IN, SIZES, strict=True)
    ]


def pointwise(conv, x):
    weight, bias = (p.detach().numpy() for p in (conv.weight, conv.bias))
    return np.einsum('oc,bchw->bohw', weight[..., 0, 0], x) + bias[:, None, None]


def depthwise(conv, x):
    weight = conv.weight.detach().numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    return sum(
        weight[None, :, 0, i, j, None, None]
        * padded[:, :, i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )


def double_size(x):
    """Linear interpolation between the centres of pixels, without extrapolation."""
    for axis in (2, 3):
        size = x.shape[axis]
        position = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, size - 1)
        share = (position - low).reshape([-1 if a == axis else 1 for a in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


def test_equals_an_independent_pyramid(neck, feats):
    arrays = [x.numpy() for x in feats]
    hidden = pointwise(neck.top[0], arrays[-1]).clip(0, 6)
    level = pointwise(neck.top[2], hidden)
    expected = [level]
    for i in (1, 0):
        level = double_size(level) + pointwise(neck.laterals[i], arrays[i])
        level = depthwise(neck.smooths[i][0], level)
        level = pointwise(neck.smooths[i][1], level).clip(0)
        expected.insert(0, level)
    for output, x, new in zip(neck(feats), arrays, expected, strict=True):
        np.testing.assert_array_equal(output[:, : x.shape[1]].numpy(force=True), x)
        np.testing.assert_allclose(
            output[:, x.shape[1] :].numpy(force=True), new, atol=1e-12
        )


def test_every_weight_has_a_gradient_unless_frozen(neck, feats):
    sum(x.square().sum() for x in neck(feats)).backward()
    assert all(p.grad.abs().sum() > 0 for p in neck.parameters())
    frozen = MODELS.build(dict(type='SeparableFPN', in_channels=[8] * 4, frozen=True))
    assert not any(p.requires_grad for p in frozen.parameters())


def test_raises_if_lengths_differ():
    with pytest.raises(ValueError, match=r'neck.in_channels \(3, 5, 7\) and neck.chan'):
        MODELS.build(dict(type='SeparableFPN', in_channels=IN))
