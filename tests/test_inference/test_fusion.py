# SPDX-License-Identifier: Apache-2.0
from copy import deepcopy

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rmpe_plugin.inference import PoseGraph, fuse_batch_norms, fuse_conv_norms
from tests.factories import SPPES
from tests.test_deploy.conftest import random_crops, small_model, stack


def with_statistics(model):
    """Give batch normalisation statistics as after training."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def batch_norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@pytest.mark.parametrize('window', [None, (0.2, 0.05, -0.1)])
@pytest.mark.parametrize('sppe', SPPES)
def test_fused_model_is_equal(sppe, window):
    model = with_statistics(small_model(sppe, window))
    graph = PoseGraph(model)
    number = batch_norms(model)
    fused = fuse_batch_norms(graph, (64, 96))
    assert batch_norms(fused) < number == batch_norms(model)
    crops = stack(random_crops())
    with torch.no_grad():
        actual, expected = (g.encoded(crops)[0] for g in (fused, graph))
    atol = 1e-5 * float(expected.abs().max().clamp(min=10))
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# The first norm of resnet10t follows a sequence of layers, not a convolution.
@pytest.mark.parametrize(
    ('name', 'left'), [('tf_efficientnet_lite0', 0), ('resnet10t', 1)]
)
def test_norms_with_activation_are_fused(name, left):
    backbone = MODELS.build(dict(type='TimmPyramid', model_name=name)).eval()
    with_statistics(backbone)
    fused = fuse_conv_norms(deepcopy(backbone))
    assert batch_norms(backbone) > 10
    assert batch_norms(fused) == left
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for actual, expected in zip(fused(x), backbone(x), strict=True):
            atol = 1e-5 * float(expected.abs().max())
            torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


class OtherOrder(nn.Module):
    """Applies the normalisation that it registers last before the convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv(self.norm(x))


def test_model_that_cannot_be_fused_is_kept():
    model = small_model('heatmap')
    model.first = OtherOrder().eval()
    with_statistics(model)
    graph = PoseGraph(model)

    class Model(type(model)):
        def extract_feat(self, x):
            return super().extract_feat(self.first(x))

    model.__class__ = Model
    assert fuse_batch_norms(graph, (64, 96)) is graph
    assert batch_norms(graph)
