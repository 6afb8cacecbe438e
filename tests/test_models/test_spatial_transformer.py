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


def build_stn(**kwargs):
    torch.manual_seed(0)
    settings = dict(backbone=SMALL, in_channels=64)
    return SpatialTransformer(**{**settings, **kwargs})


def random_crops(batch=3, size=(64, 48)):
    return torch.randn(batch, 3, *size, generator=torch.manual_seed(1))


def theta_of_outputs(net, outputs, size=(64, 48)):
    """Theta (2, 3) for given outputs of the linear layer."""
    net.fc.bias.data = torch.tensor(outputs)
    return net.eval()(random_crops(1, size))[0].detach()


@pytest.mark.parametrize('form', FORMS)
def test_starts_at_identity_with_gradients(form):
    net = build_stn(form=form).train()
    theta = net(random_crops())
    assert theta.shape == (3, 2, 3)
    assert torch.equal(theta, identity_affine(theta))
    torch.manual_seed(0)
    (theta * torch.randn_like(theta)).sum().backward()
    assert (net.fc.weight.grad.abs().sum(dim=1) > 0).all()
    # The zero weights stop the gradient, but it must exist for DDP.
    assert all(p.grad is not None for p in net.parameters())


def test_affine_outputs_are_the_entries_of_theta():
    outputs = torch.tensor([0.02, -0.01, 0.03, 0.015, -0.02, 0.01])
    theta = theta_of_outputs(build_stn(), outputs.tolist())
    expected = torch.eye(2, 3) + outputs.view(2, 3)
    torch.testing.assert_close(theta, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('value', [-1e4, -0.3, 0.3, 1e4])
def test_theta_is_inside_the_bounds_and_invertible(form, value):
    net = build_stn(form=form)
    torch.manual_seed(0)
    for _ in range(10):
        signs = torch.sign(torch.randn(len(FORMS[form])))
        theta = theta_of_outputs(net, (value * signs).tolist(), size=(64, 64))
        offset = (theta - torch.eye(2, 3)).abs()
        bounds = torch.tensor([[0.5, 0.25, 0.5], [0.25, 0.5, 0.5]])
        assert (offset <= bounds + 1e-6).all()
        assert torch.linalg.det(theta[:, :2]) >= 0.1875 - 1e-6
        assert invert_affine(theta).isfinite().all()


@pytest.mark.parametrize('size', [(64, 48), (48, 96), (64, 64)])
def test_similarity_scales_all_pixel_distances_equally(size):
    theta = theta_of_outputs(build_stn(form='similarity'), [0.1, 0.2, 0.1, -0.05], size)
    points = 50 * torch.rand(6, 2)
    mapped = transform_points(points, theta, size, size)
    ratio = torch.pdist(mapped) / torch.pdist(points)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert ratio[0] > 1.05
    scale = 1 + 0.5 * torch.tanh(torch.tensor(0.1 / 0.5))
    rotation = 0.25 * torch.tanh(torch.tensor(0.2 / 0.25))
    expected = (scale**2 + rotation**2) ** 0.5
    torch.testing.assert_close(ratio[0], expected)


def test_translation_scale_has_no_shear_and_no_rotation():
    theta = theta_of_outputs(build_stn(form='translation-scale'), [0.1, 0.2, -0.3])
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
def test_other_backbones(backbone, in_channels):
    net = build_stn(
        backbone=backbone, in_channels=in_channels, downscale=1, pool_size=1
    )
    assert net.eval()(random_crops()).shape == (3, 2, 3)


def test_builds_the_default_and_the_authors_network():
    default = MODELS.build(dict(type='SpatialTransformer'))
    assert default.eval()(random_crops(1, (256, 192))).shape == (1, 2, 3)
    authors = dict(type='ResNet', depth=18)
    settings = dict(in_channels=512, downscale=1, pool_size=1)
    net = MODELS.build(dict(type='SpatialTransformer', backbone=authors, **settings))
    assert net.fc.weight.shape == (6, 512)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_training_raises_if_theta_is_not_finite(value):
    net = build_stn().train()
    net.fc.bias.data[2] = value
    with pytest.raises(RuntimeError, match='theta that is not finite'):
        net(random_crops())


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_theta_is_not_finite_in_eval_mode_if_an_output_is_not(value):
    net = build_stn().eval()
    torch.nn.init.normal_(net.fc.weight, std=0.01)
    x = random_crops()
    expected = net(x)
    x[1, :, 3, 4] = value
    theta = net(x)
    assert not theta[1].isfinite().any()
    torch.testing.assert_close(theta[::2], expected[::2])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_theta_is_float32_if_the_model_is_in_half_precision(dtype):
    net = build_stn().eval().to(dtype)
    assert net(random_crops().to(dtype)).dtype == torch.float32


@pytest.mark.parametrize('form', ['similarity', 'translation-scale'])
def test_shear_limits_only_affine_windows(form):
    net = build_stn(form=form, max_scale=0.9, max_shear=0.9).eval()
    torch.nn.init.normal_(net.fc.weight, std=10.0)
    assert (torch.linalg.det(net(random_crops())[:, :, :2]) > 0).all()


def test_raises_on_wrong_settings():
    with pytest.raises(ValueError, match="stn.form must be one of .*got 'rigid'"):
        build_stn(form='rigid')
    for bounds in (
        dict(max_scale=0.0),
        dict(max_shear=-0.1),
        dict(max_shift=0.0),
    ):
        with pytest.raises(ValueError, match='max_shift must be positive, got'):
            build_stn(**bounds)
    for bounds in (
        dict(max_scale=0.7, max_shear=0.3),
        dict(max_scale=1.0, form='similarity'),
        dict(max_scale=1.0, form='translation-scale'),
    ):
        with pytest.raises(ValueError, match='so that theta has an inverse'):
            build_stn(**bounds)
    with pytest.raises(ValueError, match='64 output channels, stn.in_channels is 32'):
        build_stn(in_channels=32)(random_crops())


def test_autocast_computes_theta_in_float32():
    net = build_stn().eval()
    net.fc.bias.data = torch.tensor([0.01, 0.0, 0.003, 0.0, 0.02, 0.001])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        theta = net(random_crops())
    assert theta.dtype == torch.float32
    torch.testing.assert_close(theta, net(random_crops()))


def test_gradient_of_theta_with_respect_to_the_outputs():
    net = build_stn(form='similarity').double()
    outputs = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)

    def theta(x):
        return net._build_theta(net.bounds * torch.tanh(x / net.bounds), (64, 48))

    assert torch.autograd.gradcheck(theta, (outputs,))
