# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.nn.functional import conv2d, pad

from rmpe_plugin.models.backbones import MobileNetV2Pyramid


def test_levels():
    model = MobileNetV2Pyramid(out_indices=(1, 2, 3, 6))
    model.eval()  # MMPose's method returns nothing
    with torch.no_grad():
        levels = model(torch.zeros(1, 3, 64, 96))
    shapes = [tuple(level.shape[1:]) for level in levels]
    assert shapes == [(24, 16, 24), (32, 8, 12), (64, 4, 6), (320, 2, 3)]
    assert not any(name.startswith('conv2') for name, _ in model.named_parameters())


@pytest.mark.parametrize('size', [(8, 12), (9, 11)])
def test_padding_is_that_of_tensorflow(size):
    """SAME: the sum that is needed, the odd pixel on the right and at the bottom."""
    conv = MobileNetV2Pyramid(out_indices=(1,)).conv1.conv
    images = torch.rand(1, 3, *size)
    sides = []
    for n in reversed(size):
        total = max((-(-n // 2) - 1) * 2 + 3 - n, 0)
        sides += [total // 2, total - total // 2]
    with torch.no_grad():
        expected = conv2d(pad(images, sides), conv.weight, stride=2)
        torch.testing.assert_close(conv(images), expected)


@pytest.mark.parametrize('frozen', [-1, 0, 2])
def test_frozen_layers_keep_their_weights_and_statistics(frozen):
    model = MobileNetV2Pyramid(out_indices=(1, 2), frozen_stages=frozen)
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    sum(x.mean() for x in model(torch.rand(2, 3, 32, 32))).backward()
    layers = ['conv1', *(f'layer{i}' for i in range(1, 8))]
    fixed = tuple(f'{layer}.' for layer in layers[: frozen + 1])
    for name, value in model.named_parameters():
        assert value.requires_grad != name.startswith(fixed)
    statistics = {k for k in before if k.endswith('running_mean')}
    after = model.state_dict()
    kept = {k for k in statistics if torch.equal(before[k], after[k])}
    assert kept == {k for k in statistics if k.startswith(fixed)}
