# SPDX-License-Identifier: Apache-2.0
"""Everything in a synthetic image except the people."""

import cv2
import numpy as np

from .canvas import Canvas


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a smooth gradient with random shapes on it.

    Args:
        rng (np.random.Generator): Random generator.
        size (tuple[int, int]): Width and height, pixels.

    Returns:
        np.ndarray: Image (height, width, 3), BGR uint8.
    """
    width, height = size
    gradient = rng.uniform(40, 215, size=(4, 5, 3)).astype(np.float32)
    gradient = 0.6 * gradient + 0.4 * gradient.mean(axis=(0, 1))
    image = cv2.resize(gradient, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(rng.integers(6, 18)):
        _draw_shape(rng, image)
    return image


def _draw_shape(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draw an ellipse, a rectangle or a line of random size and colour."""
    height, width = image.shape[:2]
    centre = rng.uniform((0, 0), (width, height))
    size = rng.uniform(0.02, 0.22) * height * rng.uniform(0.3, 1.7, size=2)
    angle = float(rng.uniform(0, 180))
    box = (tuple(centre.tolist()), tuple(size.tolist()), angle)
    colour = tuple(rng.uniform(20, 235, size=3).tolist())
    if rng.random() < 0.3:
        cv2.ellipse(image, box, colour, -1, cv2.LINE_AA)
    elif rng.random() < 0.5:
        corners = np.round(cv2.boxPoints(box)).astype(np.int32)
        cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA)
    else:
        ends = np.round(rng.uniform((0, 0), (width, height), size=(2, 2)))
        start, end = ends.astype(int).tolist()
        cv2.line(image, start, end, colour, int(rng.integers(1, 6)), cv2.LINE_AA)


def draw_occluder(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw a pole, or a table or wall, in front of all people.

    Args:
        rng (np.random.Generator): Random generator.
        canvas (Canvas): Where to draw; the occluder has the background's label.
    """
    height, width = canvas.labels.shape
    x, top = rng.uniform(0, width), rng.uniform(0.55, 0.9) * height
    if rng.random() < 0.4:
        half, top = rng.uniform(0.01, 0.035) * width, 0
    else:
        half = rng.uniform(0.1, 0.35) * width
    left, right = x - half, x + half
    corners = [[left, top], [right, top], [right, height], [left, height]]
    canvas.fill(np.array(corners), rng.uniform(20, 230, size=3), 0)


def add_camera_effects(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Change the exposure, sometimes blur, and add noise.

    Args:
        rng (np.random.Generator): Random generator.
        image (np.ndarray): Image (height, width, 3), uint8.

    Returns:
        np.ndarray: The changed image, uint8.
    """
    image = image.astype(np.float32) * rng.uniform(0.75, 1.15)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 1.0))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1, 7)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
