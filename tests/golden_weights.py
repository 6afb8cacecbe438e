# SPDX-License-Identifier: Apache-2.0
"""Reproducible parameters for parity tests.

``fill(named_shapes, seed)`` gives every tensor of a state dict a value that
depends only on its name, its shape and ``seed``, so a test can rebuild the
very weights a fixture was made with instead of shipping 100 MB of them.
NumPy's legacy ``RandomState`` stream is frozen, hence the use of it here.
"""

import zlib

import numpy as np


def fill(named_shapes, seed=0):
    """Build a state dict.

    Args:
        named_shapes (Mapping[str, tuple[int, ...]]): parameter and buffer
            names with their shapes, e.g. taken from ``model.state_dict()``.
        seed (int): mixes into every tensor.

    Returns:
        dict[str, np.ndarray]: float32 arrays (int64 zeros for
        ``num_batches_tracked``).
    """
    state = {}
    for name, shape in named_shapes.items():
        shape = tuple(shape)
        rng = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
        if name.endswith('num_batches_tracked'):
            state[name] = np.zeros(shape, np.int64)
        elif name.endswith('running_mean'):
            state[name] = rng.normal(0, 0.1, shape).astype(np.float32)
        elif name.endswith('running_var'):
            state[name] = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        elif len(shape) == 4:
            fan_in = shape[1] * shape[2] * shape[3]
            state[name] = rng.normal(0, (1.6 / fan_in) ** 0.5, shape).astype(np.float32)
        elif name.endswith('weight'):
            state[name] = rng.uniform(0.8, 1.2, shape).astype(np.float32)
        else:
            state[name] = rng.normal(0, 0.1, shape).astype(np.float32)
    return state


def image(batch, height, width, seed=0):
    """A reproducible normalised input, float32, shape (B, 3, H, W)."""
    rng = np.random.RandomState(seed)
    coarse = rng.normal(0, 1, (batch, 3, height // 16, width // 16))
    fine = np.kron(coarse, np.ones((1, 1, 16, 16)))
    return (fine + rng.normal(0, 0.3, fine.shape)).astype(np.float32) * 0.3
