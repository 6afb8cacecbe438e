# SPDX-License-Identifier: Apache-2.0
"""Geometry of the spatial transformer: affine matrices theta, warping, points.

Convention:
    theta (B, 2, 3) maps output coordinates of a warp to input coordinates, as
    ``torch.nn.functional.affine_grid`` expects it. Coordinates are (x, y), normalised
    so that -1 and +1 are the centres of the first and the last pixel
    (``align_corners=True``). theta therefore also describes a window: the part of the
    input that the output shows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_DETERMINANT = 1e-6


def identity_affine(theta: Tensor) -> Tensor:
    """Return the identity with the shape, dtype and device of another theta.

    Args:
        theta (Tensor): theta (..., 2, 3). Its values are not used.

    Returns:
        Tensor: Matrices [1 0 0; 0 1 0], (..., 2, 3).

    Example:
        >>> identity_affine(torch.zeros(1, 2, 3))
        tensor([[[1., 0., 0.],
                 [0., 1., 0.]]])
    """
    return torch.eye(2, 3, dtype=theta.dtype, device=theta.device).expand_as(theta)


def finite_or_identity(theta: Tensor) -> Tensor:
    """Replace each theta that is not finite by the identity.

    Args:
        theta (Tensor): theta (..., 2, 3).

    Returns:
        Tensor: theta (..., 2, 3).

    Example:
        >>> finite_or_identity(torch.full((1, 2, 3), torch.nan))
        tensor([[[1., 0., 0.],
                 [0., 1., 0.]]])
    """
    finite = theta.isfinite().all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
    return torch.where(finite, theta, identity_affine(theta))


def _matmul(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Matrix product of (..., 2, 2) and (..., 2, N)."""
    # Elementwise, because autocast would round a matmul to half precision.
    return (matrix.unsqueeze(-1) * vectors.unsqueeze(-3)).sum(dim=-2)


def compose_affine(outer: Tensor, inner: Tensor) -> Tensor:
    """Compose two affine maps: apply ``inner``, then ``outer``.

    Convention:
        A warp by the result equals a warp by ``outer`` followed by a warp by
        ``inner``, because theta maps output to input coordinates.

    Args:
        outer (Tensor): theta (..., 2, 3).
        inner (Tensor): theta (..., 2, 3).

    Returns:
        Tensor: theta (..., 2, 3) of the map p -> outer(inner(p)).

    Example:
        >>> half = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
        >>> shift = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
        >>> compose_affine(half, shift)
        tensor([[0.5000, 0.0000, 0.2500],
                [0.0000, 0.5000, 0.0000]])
    """
    product = _matmul(outer[..., :2], inner)
    translation = product[..., 2:] + outer[..., 2:]
    return torch.cat((product[..., :2], translation), dim=-1)


def invert_affine(theta: Tensor) -> Tensor:
    """Invert theta in closed form.

    The inverse of the STN's theta is the SDTN's gamma (RMPE, section 3.1):
    [gamma1 gamma2] = [theta1 theta2]^-1, gamma3 = -[gamma1 gamma2] theta3.

    A determinant with a magnitude below ``MIN_DETERMINANT`` (1e-6) is replaced by 1e-6
    with the same sign (positive for zero) and zero gradient. The result and its
    gradient are then finite, but the result is not the inverse.

    Args:
        theta (Tensor): theta (..., 2, 3).

    Returns:
        Tensor: The inverse (..., 2, 3).

    Example:
        >>> invert_affine(torch.tensor([[1.0, -1.0, 0.5], [1.0, 1.0, 0.0]]))
        tensor([[ 0.5000,  0.5000, -0.2500],
                [-0.5000,  0.5000,  0.2500]])
    """
    a, b, c, d = theta[..., :2].flatten(-2).unbind(dim=-1)
    determinant = a * d - b * c
    limit = torch.full_like(determinant, MIN_DETERMINANT)
    limit = torch.where(determinant < 0, -limit, limit)
    determinant = torch.where(determinant.abs() < MIN_DETERMINANT, limit, determinant)
    adjugate = torch.stack((d, -b, -c, a), dim=-1).unflatten(-1, (2, 2))
    linear = adjugate / determinant[..., None, None]
    return torch.cat((linear, -_matmul(linear, theta[..., 2:])), dim=-1)


def warp(x: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Warp images or heatmaps by theta.

    The STN warps crops by theta, the SDTN warps heatmaps by its inverse.

    Convention:
        theta maps output to input, in normalised coordinates with
        ``align_corners=True``. Sampling is bilinear and the padding is zero.

    Args:
        x (Tensor): Images or heatmaps (B, C, h, w).
        theta (Tensor): theta (B, 2, 3).
        size (tuple[int, int]): Output size (H, W), pixels.

    Returns:
        Tensor: Warped input (B, C, H, W) in the dtype of ``x``. It is computed in the
        dtype of ``theta``, under autocast too: half precision would shift the sampling
        points by a tenth of a pixel.

    Example:
        >>> x = torch.arange(9.0).view(1, 1, 3, 3)
        >>> one_pixel_to_the_right = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
        >>> warp(x, one_pixel_to_the_right, (3, 3))
        tensor([[[[1., 2., 0.],
                  [4., 5., 0.],
                  [7., 8., 0.]]]])
    """
    # grid_sample raises on an empty batch. len() would fix the batch size of an export.
    if x.shape[0] == 0:
        return x.new_empty(*x.shape[:2], *size)
    with torch.autocast(x.device.type, enabled=False):
        grid = _sampling_grid(theta, size)
        out = F.grid_sample(
            x.to(theta.dtype),
            grid,
            mode='bilinear',
            padding_mode='zeros',
            align_corners=True,
        )
    return out.to(x.dtype)


def _sampling_grid(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Input coordinates (B, H, W, 2) of all pixels of a warp by theta (B, 2, 3)."""
    # As F.affine_grid(..., align_corners=True), but elementwise: its matrix product
    # would round to TF32 if torch's precision of float32 products is 'high', which
    # shifts the sampling points by up to a tenth of a pixel.
    y, x = (_pixel_positions(n, theta) for n in size)
    right, down, centre = theta[:, None, None].unbind(dim=-1)  # (B, 1, 1, 2)
    return right * x[:, None] + down * y[:, None, None] + centre


def _pixel_positions(number: int, like: Tensor) -> Tensor:
    """Normalised coordinates (number,) of pixels; a single pixel is in the centre."""
    first = -1.0 if number > 1 else 0.0
    return torch.linspace(first, 1.0, number, dtype=like.dtype, device=like.device)


def _half_extent(size: tuple[int, int], like: Tensor) -> Tensor:
    """Distance (x, y) from the centre of an (H, W) map to its last pixel, pixels."""
    height, width = size
    if min(size) < 2:
        raise ValueError(
            f'normalised coordinates need at least 2x2 pixels, got {height}x{width}'
        )
    # Filled on the device. A tensor of the two numbers would be copied to it.
    return torch.cat([like.new_full((1,), (n - 1) / 2) for n in (width, height)])


def transform_points(
    points: Tensor,
    theta: Tensor,
    from_size: tuple[int, int],
    to_size: tuple[int, int],
) -> Tensor:
    """Map pixel coordinates of a warp's output to pixel coordinates of its input.

    Convention:
        theta maps output to input, in normalised coordinates with
        ``align_corners=True``. Points are in pixels; (0, 0) is the centre of the first
        pixel. They may lie outside the output and the input.

    Args:
        points (Tensor): Points (..., N, 2), (x, y), pixels of the output.
        theta (Tensor): theta (..., 2, 3).
        from_size (tuple[int, int]): Size (H, W) of the output.
        to_size (tuple[int, int]): Size (H, W) of the input.

    Returns:
        Tensor: Points (..., N, 2), (x, y), pixels of the input.

    Raises:
        ValueError: If a height or a width is below 2 pixels.

    Example:
        >>> half = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
        >>> first_pixel = torch.tensor([[[0.0, 0.0]]])
        >>> transform_points(first_pixel, half, from_size=(5, 9), to_size=(5, 9))
        tensor([[[2., 1.]]])
    """
    normalised = points / _half_extent(from_size, points) - 1
    mapped = _matmul(theta[..., :2], normalised.mT) + theta[..., 2:]  # (..., 2, N)
    return (mapped.mT + 1) * _half_extent(to_size, points)


def theta_from_pixels(
    matrix: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]
) -> Tensor:
    """Convert an affine matrix in pixel coordinates to theta.

    Convention:
        ``matrix`` maps output pixels to input pixels, as ``cv2.warpAffine`` expects it
        with ``WARP_INVERSE_MAP``. The result maps output to input, in normalised
        coordinates with ``align_corners=True``.

    Args:
        matrix (Tensor): Affine matrices (..., 2, 3) for points (x, y), pixels.
        from_size (tuple[int, int]): Size (H, W) of the output.
        to_size (tuple[int, int]): Size (H, W) of the input.

    Returns:
        Tensor: theta (..., 2, 3).

    Raises:
        ValueError: If a height or a width is below 2 pixels.

    Example:
        >>> crop = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])  # from pixel (2, 2)
        >>> theta_from_pixels(crop, from_size=(3, 3), to_size=(5, 5))
        tensor([[0.5000, 0.0000, 0.5000],
                [0.0000, 0.5000, 0.5000]])
    """
    from_half, to_half = (_half_extent(size, matrix) for size in (from_size, to_size))
    linear = matrix[..., :2]
    centre = (linear * from_half).sum(dim=-1) + matrix[..., 2]
    theta = torch.cat((linear * from_half, (centre - to_half).unsqueeze(-1)), dim=-1)
    return theta / to_half[:, None]


def window_corners(theta: Tensor) -> Tensor:
    """Compute the corners of the window that theta shows.

    Convention:
        Corners are (x, y) in normalised coordinates of the input. For the identity
        they are the top left, top right, bottom right and bottom left corner.

    Args:
        theta (Tensor): theta (..., 2, 3).

    Returns:
        Tensor: Corners (..., 4, 2).

    Example:
        >>> window_corners(torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]))
        tensor([[0., 0.],
                [1., 0.],
                [1., 1.],
                [0., 1.]])
    """
    right, down, centre = theta.unbind(dim=-1)
    # Sums instead of a tensor of signs, which would be copied to the device in every
    # training step.
    corners = (-right - down, right - down, right + down, down - right)
    return centre.unsqueeze(-2) + torch.stack(corners, dim=-2)
