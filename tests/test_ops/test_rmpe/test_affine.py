# SPDX-License-Identifier: Apache-2.0
from functools import partial

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from rmpe_plugin.ops import (
    compose_affine,
    finite_or_identity,
    identity_affine,
    invert_affine,
    theta_from_pixels,
    transform_points,
    warp,
    window_corners,
)
from rmpe_plugin.ops.rmpe.affine import MIN_DETERMINANT, _sampling_grid

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def random_theta(batch, seed=0, spread=0.2):
    torch.manual_seed(seed)
    eye = torch.eye(2, 3, dtype=torch.float64)
    return eye + spread * torch.randn(batch, 2, 3, dtype=torch.float64)


def homogeneous(theta):
    last = theta.new_tensor([0.0, 0.0, 1.0])
    return torch.cat((theta, last.expand(*theta.shape[:-2], 1, 3)), dim=-2)


def loop_warp(x, theta, size):
    """Warp one channel (h, w) in a loop over pixels."""
    (h, w), (height, width) = x.shape, size
    out = torch.zeros(size, dtype=x.dtype)

    def pixel(row, column):
        inside = 0 <= row < h and 0 <= column < w
        return x[row, column] if inside else 0.0

    for i in range(height):
        for j in range(width):
            position = [2 * j / (width - 1) - 1, 2 * i / (height - 1) - 1, 1.0]
            u, v = (theta @ torch.tensor(position, dtype=x.dtype)).tolist()
            column, row = (u + 1) * (w - 1) / 2, (v + 1) * (h - 1) / 2
            left, top = int(np.floor(column)), int(np.floor(row))
            fx, fy = column - left, row - top
            upper = (1 - fx) * pixel(top, left) + fx * pixel(top, left + 1)
            lower = (1 - fx) * pixel(top + 1, left) + fx * pixel(top + 1, left + 1)
            out[i, j] = (1 - fy) * upper + fy * lower
    return out


@pytest.mark.parametrize('size', [(7, 9), (4, 5), (12, 3)])
def test_warp_equals_loops(size, device, dtype):
    theta = random_theta(2)
    x = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    actual = warp(x.to(device, dtype), theta.to(device, dtype), size)
    assert actual.shape == (2, 3, *size)
    for b in range(2):
        expected = loop_warp(x[b, 1], theta[b], size).to(device, dtype)
        tolerance = TOLERANCE[dtype]
        torch.testing.assert_close(actual[b, 1], expected, rtol=0, atol=tolerance)


def test_warp_matches_opencv():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.random((64, 48), dtype=np.float32), (5, 5), 0)
    matrix = np.array([[0.9, 0.15, 3.0], [-0.1, 1.1, -4.0]])
    expected = cv2.warpAffine(
        image, matrix, (40, 56), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    theta = theta_from_pixels(torch.from_numpy(matrix)[None], (56, 40), (64, 48))
    actual = warp(torch.from_numpy(image)[None, None], theta, (56, 40))[0, 0]
    # OpenCV before 5 rounds source coordinates to 1/32 pixel.
    assert np.abs(actual.numpy() - expected).max() < 0.02
    assert np.abs(actual.numpy() - expected).mean() < 2e-3


def test_warp_by_identity_returns_input(device, dtype):
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 48, dtype=dtype) + torch.linspace(0, 1, 64)[:, None]
    x = ramp[None, None].to(device, dtype)
    theta = identity_affine(torch.empty(1, 2, 3, dtype=dtype, device=device))
    torch.testing.assert_close(warp(x, theta, (64, 48)), x, rtol=0, atol=1e-6)
    noise = torch.randn(1, 2, 64, 48, dtype=torch.float64, device=device)
    theta = theta.double()
    torch.testing.assert_close(warp(noise, theta, (64, 48)), noise, rtol=0, atol=1e-6)


def test_warp_pads_with_zeros():
    theta = torch.tensor([[[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]])
    assert (warp(torch.ones(1, 2, 5, 5), theta, (5, 5)) == 0).all()


def test_empty_batch():
    empty = torch.empty(0, 2, 3)
    assert warp(torch.empty(0, 4, 5, 6), empty, (3, 2)).shape == (0, 4, 3, 2)
    assert invert_affine(empty).shape == (0, 2, 3)
    assert window_corners(empty).shape == (0, 4, 2)
    assert transform_points(torch.empty(0, 7, 2), empty, (4, 4), (4, 4)).shape == (
        (0, 7, 2)
    )


def test_autocast_does_not_change_precision(device):
    theta = random_theta(2).to(device, torch.float32)
    x = torch.rand(2, 3, 64, 48, device=device)
    plain = warp(x, theta, (64, 48)), compose_affine(theta, invert_affine(theta))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        cast = warp(x, theta, (64, 48)), compose_affine(theta, invert_affine(theta))
    for a, b in zip(plain, cast, strict=True):
        assert b.dtype == torch.float32
        assert torch.equal(a, b)
    for half in (torch.float16, torch.bfloat16):
        assert warp(x.to(half), theta, (64, 48)).dtype == half


def test_inverse_equals_linalg_inv(device):
    theta = random_theta(100).to(device)
    expected = torch.linalg.inv(homogeneous(theta))[:, :2]
    torch.testing.assert_close(invert_affine(theta), expected)
    both = compose_affine(theta, invert_affine(theta))
    torch.testing.assert_close(both, identity_affine(theta))


def test_gradient_of_inverse_equals_paper():
    """G = dJ/dGamma - dJ/dgamma3 theta3^T; dJ/dA = -Gamma^T G Gamma^T."""
    theta = random_theta(3).requires_grad_()
    upstream = torch.randn(3, 2, 3, dtype=torch.float64)
    (invert_affine(theta) * upstream).sum().backward()
    gamma = torch.linalg.inv(theta.detach()[..., :2])
    shift = theta.detach()[..., 2:]
    inner = upstream[..., :2] - upstream[..., 2:] @ shift.mT
    expected = torch.cat(
        (-gamma.mT @ inner @ gamma.mT, -gamma.mT @ upstream[..., 2:]), dim=-1
    )
    torch.testing.assert_close(theta.grad, expected)


@pytest.mark.parametrize('determinant', [0.0, 1e-9, -1e-9])
def test_inverse_of_singular_theta_is_finite(determinant):
    theta = torch.tensor([[[1.0, 0.0, 0.3], [0.0, determinant, 0.1]]])
    theta = theta.double().requires_grad_()
    gamma = invert_affine(theta)
    gamma.sum().backward()
    assert gamma.isfinite().all()
    assert theta.grad.isfinite().all()
    sign = -1.0 if determinant < 0 else 1.0
    assert gamma[0, 1, 1].item() == pytest.approx(sign / MIN_DETERMINANT)


def test_composition_equals_two_warps():
    outer, inner = random_theta(4, seed=0), random_theta(4, seed=1)
    expected = (homogeneous(outer) @ homogeneous(inner))[:, :2]
    torch.testing.assert_close(compose_affine(outer, inner), expected)
    # Bilinear sampling of a plane is exact, so two warps equal one.
    x, y = torch.linspace(-1, 1, 30), torch.linspace(-1, 1, 40)[:, None]
    plane = (2 * x + 3 * y)[None, None].double().expand(4, 1, 40, 30)
    shrink = identity_affine(inner) * 0.6
    outer, inner = shrink @ homogeneous(outer * 0.5), 0.5 * inner
    twice = warp(warp(plane, outer, (40, 30)), inner, (40, 30))
    once = warp(plane, compose_affine(outer, inner), (40, 30))
    torch.testing.assert_close(twice, once, rtol=0, atol=1e-6)


def test_warp_by_inverse_restores_image():
    """Warping a smooth spot by the inverse and then by theta restores it."""
    x, y = torch.arange(48.0), torch.arange(64.0)[:, None]
    spot = torch.exp(-((x - 22) ** 2 + (y - 33) ** 2) / 32)[None, None].double()
    theta = random_theta(1, spread=0.08)
    warped = warp(spot, invert_affine(theta), (64, 48))
    restored = warp(warped, theta, (64, 48))
    assert (warped - spot).abs().max() > 0.1
    torch.testing.assert_close(restored, spot, rtol=0, atol=0.03)


def test_points_follow_warped_image():
    theta = random_theta(1, spread=0.1)
    image = torch.zeros(1, 1, 65, 49, dtype=torch.float64)
    image[..., 20, 30] = 1.0
    warped = warp(image, theta, (129, 97))[0, 0]
    peak = (warped == warped.max()).nonzero()[0].flip(0).double()
    actual = transform_points(peak[None, None], theta, (129, 97), (65, 49))
    expected = torch.tensor([[[30.0, 20.0]]], dtype=torch.float64)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.5)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 300), st.integers(2, 300), st.integers(2, 300), st.integers(2, 300)
)
def test_points_round_trip(h, w, height, width):
    theta = random_theta(5, seed=h)
    points = 200 * torch.randn(5, 7, 2, dtype=torch.float64)
    mapped = transform_points(points, theta, (h, w), (height, width))
    restored = transform_points(mapped, invert_affine(theta), (height, width), (h, w))
    torch.testing.assert_close(restored, points, rtol=1e-9, atol=1e-6)


def test_theta_from_pixels_maps_same_pixels(device, dtype):
    matrix = torch.tensor([[[0.5, -0.2, 7.0], [0.1, 1.5, -2.0]]]).to(device, dtype)
    points = 50 * torch.rand(1, 6, 2, device=device, dtype=dtype)
    theta = theta_from_pixels(matrix, (30, 40), (100, 70))
    expected = points @ matrix[..., :2].mT + matrix[..., 2]
    actual = transform_points(points, theta, (30, 40), (100, 70))
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE[dtype])


def test_window_corners(device, dtype):
    theta = random_theta(3).to(device, dtype)
    corners = window_corners(theta)
    torch.testing.assert_close(corners[:, 0], theta @ theta.new_tensor([-1, -1, 1]))
    torch.testing.assert_close(corners[:, 2], theta @ theta.new_tensor([1, 1, 1]))
    x, y = window_corners(identity_affine(theta))[0].T
    assert x.tolist() == [-1, 1, 1, -1]
    assert y.tolist() == [-1, -1, 1, 1]


@pytest.mark.parametrize('size', [(1, 5), (5, 1), (0, 5)])
def test_raises_on_size_below_two_pixels(size):
    points, theta = torch.zeros(1, 1, 2), torch.eye(2, 3)[None]
    with pytest.raises(ValueError, match='at least 2x2 pixels'):
        transform_points(points, theta, size, (5, 5))
    with pytest.raises(ValueError, match='at least 2x2 pixels'):
        theta_from_pixels(theta, (5, 5), size)


def test_gradcheck(device):
    theta, other = (random_theta(2, i).to(device).requires_grad_() for i in range(2))
    points = torch.randn(2, 3, 2, dtype=torch.float64, device=device).requires_grad_()
    maps = torch.randn(2, 2, 6, 5, dtype=torch.float64, device=device).requires_grad_()
    # CUDA adds gradients of grid_sample in any order.
    check = partial(torch.autograd.gradcheck, nondet_tol=1e-12)
    assert check(invert_affine, (theta,))
    assert check(compose_affine, (theta, other))
    assert check(window_corners, (theta,))
    assert check(lambda p, t: transform_points(p, t, (6, 5), (9, 8)), (points, theta))
    assert check(lambda m: theta_from_pixels(m, (6, 5), (9, 8)), (theta,))
    assert check(lambda x, t: warp(x, t, (4, 7)), (maps, theta))
    assert check(lambda x, t: warp(x, invert_affine(t), (6, 5)), (maps, theta))


@pytest.mark.parametrize('size', [(1, 1), (1, 6), (5, 7)])
def test_sampling_grid_equals_that_of_torch(size, device, dtype):
    torch.manual_seed(0)
    theta = torch.randn(3, 2, 3, dtype=dtype, device=device)
    expected = F.affine_grid(theta, [3, 1, *size], align_corners=True)
    torch.testing.assert_close(_sampling_grid(theta, size), expected)


def test_warp_has_no_matrix_product():
    """It would be rounded to TF32 if torch's matmul precision is 'high'."""
    called = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            called.append(str(func))
            return func(*args, **(kwargs or {}))

    theta = torch.eye(2, 3).expand(2, 2, 3)
    with Recorder():
        warp(torch.ones(2, 1, 4, 5), theta, (4, 5))
        F.affine_grid(theta, [2, 1, 4, 5], align_corners=True)
    *ours, of_torch = called
    assert any('grid_sampler' in name for name in ours)
    assert not any('mm' in name or 'affine_grid' in name for name in ours)
    assert 'affine_grid' in of_torch


def test_finite_or_identity(device, any_dtype):
    theta = torch.randn(2, 3, 2, 3, device=device).to(any_dtype)
    assert torch.equal(finite_or_identity(theta), theta)
    theta[0, 1, 0, 2], theta[1, 2, 1, 1] = torch.inf, torch.nan
    result = finite_or_identity(theta)
    for i, j in ((0, 1), (1, 2)):
        assert torch.equal(result[i, j], torch.eye(2, 3).to(theta))
    assert torch.equal(result[0, 0], theta[0, 0])
    assert finite_or_identity(torch.zeros(0, 2, 3)).shape == (0, 2, 3)
