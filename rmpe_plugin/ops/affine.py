# SPDX-License-Identifier: Apache-2.0
"""The geometry of the spatial transformer: theta, its inverse, warping maps and points.

Convention: theta (B, 2, 3) maps coordinates of a warp's output to coordinates of its
input, x before y, normalised so that -1 and +1 are the centres of the first and the
last pixel (``align_corners=True``). So it is also a window: the part of the input that
the output shows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_DETERMINANT = 1e-6


def identity_affine(theta: Tensor) -> Tensor:
    """The theta that changes nothing, of the shape, type and device of another.

    Args:
        theta (Tensor): (..., 2, 3).

    Returns:
        Tensor: [1 0 0; 0 1 0] everywhere, (..., 2, 3).
    """
    return torch.eye(2, 3, dtype=theta.dtype, device=theta.device).expand_as(theta)


def _product(linear: Tensor, vectors: Tensor) -> Tensor:
    """Matrix product of (..., 2, 2) and (..., 2, N).

    Elementwise, because autocast would round a ``matmul`` to half precision.
    """
    return (linear.unsqueeze(-1) * vectors.unsqueeze(-3)).sum(dim=-2)


def compose_affine(outer: Tensor, inner: Tensor) -> Tensor:
    """Apply ``inner``, then ``outer``.

    Warping by the result is warping by ``outer``, then that by ``inner``.

    Args:
        outer (Tensor): theta (..., 2, 3).
        inner (Tensor): theta (..., 2, 3).

    Returns:
        Tensor: The theta (..., 2, 3) of p -> outer(inner(p)).
    """
    product = _product(outer[..., :2], inner)
    shift = product[..., 2:] + outer[..., 2:]
    return torch.cat((product[..., :2], shift), dim=-1)


def invert_affine(theta: Tensor) -> Tensor:
    """Invert theta in closed form: gamma of the RMPE paper, section 3.1.

    [gamma1 gamma2] = [theta1 theta2]^-1, gamma3 = -[gamma1 gamma2] theta3.

    Guard: a determinant whose magnitude is below ``MIN_DETERMINANT`` (1e-6) is replaced
    by 1e-6 of its sign (zero counts as positive), and its gradient by zero. Result and
    gradient then stay finite, and the result is not an inverse.

    Args:
        theta (Tensor): (..., 2, 3).

    Returns:
        Tensor: The inverse (..., 2, 3).
    """
    a, b, c, d = theta[..., :2].flatten(-2).unbind(dim=-1)
    determinant = a * d - b * c
    guard = torch.full_like(determinant, MIN_DETERMINANT)
    guard = torch.where(determinant < 0, -guard, guard)
    determinant = torch.where(determinant.abs() < MIN_DETERMINANT, guard, determinant)
    adjugate = torch.stack((d, -b, -c, a), dim=-1).unflatten(-1, (2, 2))
    linear = adjugate / determinant[..., None, None]
    return torch.cat((linear, -_product(linear, theta[..., 2:])), dim=-1)


def warp(x: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Warp images or heatmaps: bilinear, zeros outside.

    With theta the STN's warp of the crop, with its inverse the SDTN's of the heatmaps.

    Args:
        x (Tensor): Maps (B, C, h, w).
        theta (Tensor): (B, 2, 3), output to input.
        size (tuple[int, int]): Output (H, W), pixels.

    Returns:
        Tensor: Maps (B, C, H, W) of x's type. The arithmetic is in theta's type, under
        autocast too: half precision would misplace samples by a tenth of a pixel.
    """
    shape = (*x.shape[:2], *size)
    if not len(x):  # affine_grid refuses an empty batch
        return x.new_empty(shape)
    with torch.autocast(x.device.type, enabled=False):
        grid = F.affine_grid(theta, shape, align_corners=True)
        out = F.grid_sample(
            x.to(theta.dtype),
            grid,
            mode='bilinear',
            padding_mode='zeros',
            align_corners=True,
        )
    return out.to(x.dtype)


def _half_extent(size: tuple[int, int], like: Tensor) -> Tensor:
    """Pixels (x, y) from the middle of a map of (H, W) to its last pixel."""
    height, width = size
    if min(size) < 2:
        raise ValueError(
            f'normalised coordinates need at least 2x2 pixels, got {height}x{width}'
        )
    return like.new_tensor([(width - 1) / 2, (height - 1) / 2])


def transform_points(
    points: Tensor,
    theta: Tensor,
    from_size: tuple[int, int],
    to_size: tuple[int, int],
) -> Tensor:
    """Map pixels of a warp's output to pixels of its input.

    Args:
        points (Tensor): (..., N, 2), (x, y), pixels of the output.
        theta (Tensor): (..., 2, 3).
        from_size (tuple[int, int]): (H, W) of the output.
        to_size (tuple[int, int]): (H, W) of the input.

    Returns:
        Tensor: (..., N, 2), pixels of the input; points may lie outside either.

    Raises:
        ValueError: If a size is below 2 pixels.

    Example:
        >>> half = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
        >>> corner = torch.tensor([[[0.0, 0.0]]])
        >>> transform_points(corner, half, (5, 9), (5, 9))
        tensor([[[2., 1.]]])
    """
    normalised = points / _half_extent(from_size, points) - 1
    mapped = _product(theta[..., :2], normalised.mT) + theta[..., 2:]
    return (mapped.mT + 1) * _half_extent(to_size, points)


def theta_from_pixels(
    matrix: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]
) -> Tensor:
    """Write an affine map between pixels as a theta.

    Args:
        matrix (Tensor): (..., 2, 3), pixels (x, y) of a warp's output to pixels of its
            input, as ``cv2.warpAffine`` takes it with ``WARP_INVERSE_MAP``.
        from_size (tuple[int, int]): (H, W) of the output.
        to_size (tuple[int, int]): (H, W) of the input.

    Returns:
        Tensor: theta (..., 2, 3).

    Raises:
        ValueError: If a size is below 2 pixels.
    """
    start, end = (_half_extent(size, matrix) for size in (from_size, to_size))
    linear = matrix[..., :2]
    middle = (linear * start).sum(dim=-1) + matrix[..., 2]
    theta = torch.cat((linear * start, (middle - end).unsqueeze(-1)), dim=-1)
    return theta / end[:, None]


def window_corners(theta: Tensor) -> Tensor:
    """Corners of the window that theta shows.

    Args:
        theta (Tensor): (..., 2, 3).

    Returns:
        Tensor: (..., 4, 2), (x, y) in the input's normalised coordinates, clockwise
        on the picture from the top left when theta is the identity.
    """
    right, down, middle = theta.unbind(dim=-1)
    # No constant from the host: this runs in training steps.
    corners = (-right - down, right - down, right + down, down - right)
    return middle.unsqueeze(-2) + torch.stack(corners, dim=-2)
