# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmpose.registry import MODELS

from rmpe_plugin.models.spatial_transformers import (
    SpatialTransformer,
    spatial_transformer,
)
from rmpe_plugin.ops import identity_affine, invert_affine, transform_points

FORMS = spatial_transformer.FORMS
SMALL = dict(
    type='ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,)
)


def make(**kwargs):
    torch.manual_seed(0)
    settings = dict(backbone=SMALL, in_channels=64)
    return SpatialTransformer(**{**settings, **kwargs})


def crops(batch=3, size=(64, 48)):
    return torch.randn(batch, 3, *size, generator=torch.manual_seed(1))


def chosen(net, numbers, size=(64, 48)):
    """theta when the linear layer says ``numbers``."""
    net.fc.bias.data = torch.tensor(numbers)
    return net.eval()(crops(1, size))[0].detach()


@pytest.mark.parametrize('form', FORMS)
def test_starts_at_the_identity_and_learns(form):
    net = make(form=form).train()
    theta = net(crops())
    assert theta.shape == (3, 2, 3)
    assert torch.equal(theta, identity_affine(theta))
    torch.manual_seed(0)
    (theta * torch.randn_like(theta)).sum().backward()
    assert (net.fc.weight.grad.abs().sum(dim=1) > 0).all()
    # Zero weights hold the gradient back at first; it must still exist for DDP.
    assert all(p.grad is not None for p in net.parameters())


def test_affine_has_the_papers_six_numbers_in_order():
    numbers = torch.tensor([0.02, -0.01, 0.03, 0.015, -0.02, 0.01])
    theta = chosen(make(), numbers.tolist())
    expected = torch.eye(2, 3) + numbers.view(2, 3)
    torch.testing.assert_close(theta, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('value', [-1e4, -0.3, 0.3, 1e4])
def test_stays_inside_its_bounds(form, value):
    net = make(form=form)
    torch.manual_seed(0)
    for _ in range(10):
        signs = torch.sign(torch.randn(len(FORMS[form])))
        theta = chosen(net, (value * signs).tolist(), size=(64, 64))
        offset = (theta - torch.eye(2, 3)).abs()
        bounds = torch.tensor([[0.5, 0.25, 0.5], [0.25, 0.5, 0.5]])
        assert (offset <= bounds + 1e-6).all()
        assert torch.linalg.det(theta[:, :2]) >= 0.1875 - 1e-6
        assert invert_affine(theta).isfinite().all()


@pytest.mark.parametrize('size', [(64, 48), (48, 96), (64, 64)])
def test_similarity_keeps_angles_and_ratios_in_pixels(size):
    theta = chosen(make(form='similarity'), [0.1, 0.2, 0.1, -0.05], size)
    points = 50 * torch.rand(6, 2)
    mapped = transform_points(points, theta, size, size)
    ratio = torch.pdist(mapped) / torch.pdist(points)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert ratio[0] > 1.05
    scale, turn = 1 + 0.5 * torch.tanh(torch.tensor([0.2, 0.8])) * torch.tensor(
        [1, 0.5]
    )
    expected = (scale**2 + (turn - 1) ** 2) ** 0.5
    torch.testing.assert_close(ratio[0], expected)


def test_translation_scale_neither_shears_nor_turns():
    theta = chosen(make(form='translation-scale'), [0.1, 0.2, -0.3])
    assert theta[0, 0] == theta[1, 1]
    assert theta[0, 1] == theta[1, 0] == 0
    assert (theta[0, 2] > 0) & (theta[1, 2] < 0)


@pytest.mark.parametrize(
    ('backbone', 'in_channels'),
    [
        (dict(type='MobileNetV2', widen_factor=0.25), 1280),
        (dict(type='ShuffleNetV2', out_indices=(3,)), 1024),
    ],
)
def test_any_backbone(backbone, in_channels):
    net = make(backbone=backbone, in_channels=in_channels, downscale=1, pool_size=1)
    assert net.eval()(crops()).shape == (3, 2, 3)


def test_the_default_and_the_authors_build():
    light = MODELS.build(dict(type='SpatialTransformer'))
    assert light.eval()(crops(1, (256, 192))).shape == (1, 2, 3)
    authors = dict(type='ResNet', depth=18)
    settings = dict(in_channels=512, downscale=1, pool_size=1)
    net = MODELS.build(dict(type='SpatialTransformer', backbone=authors, **settings))
    assert net.fc.weight.shape == (6, 512)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_not_finite_is_an_error_in_training(value):
    net = make().train()
    net.fc.bias.data[2] = value
    with pytest.raises(RuntimeError, match='theta that is not finite'):
        net(crops())


def test_not_finite_is_the_identity_at_test_and_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        spatial_transformer, 'print_log', lambda text, **kwargs: said.append(text)
    )
    net = make().eval()
    torch.nn.init.normal_(net.fc.weight, std=0.01)
    x = crops()
    expected = net(x)
    x[1, :, 3, 4] = float('nan')
    for _ in range(2):
        theta = net(x)
        assert torch.equal(theta[1], torch.eye(2, 3))
        torch.testing.assert_close(theta[::2], expected[::2])
    assert len(said) == 1
    assert 'for 1 of 3 crops' in said[0]


def test_wrong_settings():
    with pytest.raises(ValueError, match="stn.form must be one of .*got 'rigid'"):
        make(form='rigid')
    for bounds in (
        dict(max_scale=0.0),
        dict(max_shear=-0.1),
        dict(max_shift=0.0),
        dict(max_scale=0.7, max_shear=0.3),
    ):
        with pytest.raises(ValueError, match='so that theta has an inverse'):
            make(**bounds)
    with pytest.raises(ValueError, match='gives 64 channels, stn.in_channels is 32'):
        make(in_channels=32)(crops())


def test_autocast_keeps_theta_precise():
    net = make().eval()
    net.fc.bias.data = torch.tensor([0.01, 0.0, 0.003, 0.0, 0.02, 0.001])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        theta = net(crops())
    assert theta.dtype == torch.float32
    torch.testing.assert_close(theta, net(crops()))


def test_gradient_of_theta():
    net = make(form='similarity').double()
    numbers = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)

    def theta(x):
        return net._theta(net.bounds * torch.tanh(x / net.bounds), (64, 48))

    assert torch.autograd.gradcheck(theta, (numbers,))
