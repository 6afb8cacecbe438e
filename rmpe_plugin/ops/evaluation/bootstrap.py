# SPDX-License-Identifier: Apache-2.0
"""Bootstrap samples of images."""

import numpy as np


def bootstrap_weights(num_images: int, num_samples: int, seed: int) -> np.ndarray:
    """Draw bootstrap samples: as many images as there are, with replacement.

    Methods that are compared on the same samples give a paired bootstrap.

    Args:
        num_images (int): Number of images I.
        num_samples (int): Number of samples B.
        seed (int): Seed, not negative.

    Returns:
        np.ndarray: How often each image occurs in each sample (B, I).

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> bootstrap_weights(3, 2, seed=0).sum(axis=1)
        array([3, 3])
    """
    if num_images < 1 or num_samples < 1:
        raise ValueError(
            'num_images and num_samples must be at least 1, got '
            f'{num_images} and {num_samples}'
        )
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_images, np.full(num_images, 1 / num_images), num_samples)
