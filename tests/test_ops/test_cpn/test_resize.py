# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rmpe_plugin.ops import resize_bilinear


def loop_resize(x, size, position):
    """Bilinear interpolation in loops; ``position`` returns the input index."""
    h, w = x.shape
    out = torch.zeros(size, dtype=x.dtype)
    for i in range(size[0]):
        for j in range(size[1]):
            y, u = position(i, h, size[0]), position(j, w, size[1])
            y0, u0 = int(y), int(u)
            y1, u1 = min(y0 + 1, h - 1), min(u0 + 1, w - 1)
            fy, fu = y - y0, u - u0
            out[i, j] = (1 - fy) * ((1 - fu) * x[y0, u0] + fu * x[y0, u1]) + fy * (
                (1 - fu) * x[y1, u0] + fu * x[y1, u1]
            )
    return out


POSITIONS = dict(
    corners=lambda i, n_in, n_out: i * (n_in - 1) / (n_out - 1),
    tf1=lambda i, n_in, n_out: i * n_in / n_out,
)


@pytest.mark.parametrize('grid', POSITIONS)
@pytest.mark.parametrize('size', [(8, 6), (16, 12), (4, 6)])
def test_equals_loops(grid, size, device, any_dtype):
    torch.manual_seed(0)
    x = torch.randn(4, 3).to(any_dtype)
    expected = loop_resize(x.double(), size, POSITIONS[grid]).to(device, any_dtype)
    actual = resize_bilinear(x[None, None].to(device), size, grid)[0, 0]
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('grid', POSITIONS)
def test_same_size_returns_input_and_gradcheck(grid, device):
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, device=device).requires_grad_()
    assert resize_bilinear(x, (3, 2), grid) is x
    assert torch.autograd.gradcheck(lambda t: resize_bilinear(t, (6, 4), grid), (x,))


def test_raises_on_unknown_grid_or_size():
    x = torch.zeros(1, 1, 3, 3)
    with pytest.raises(ValueError, match="resize_grid .*'nearest'"):
        resize_bilinear(x, (6, 6), 'nearest')
    with pytest.raises(ValueError, match='7x6 for 3x3'):
        resize_bilinear(x, (7, 6), 'tf1')
