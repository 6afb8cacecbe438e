# SPDX-License-Identifier: Apache-2.0
from math import log2

import pytest

from rmpe_plugin.ops import alternating_search

START = dict(sigma1=1.0, sigma2=1.0, lambda_=1.0, eta=1.0)
BEST = dict(sigma1=0.3, sigma2=7.0, lambda_=2.0, eta=0.05)


def objective(point):
    """A function with its maximum at BEST; lambda_ and eta interact."""
    x = {name: log2(point[name] / BEST[name]) for name in point}
    return -sum(v**2 for v in x.values()) - 0.5 * x['lambda_'] * x['eta']


def test_finds_maximum_and_stops():
    evaluated = []

    def evaluate(pair, points):
        evaluated.append(pair)
        return [objective(point) for point in points]

    best, value, sweeps = alternating_search(evaluate, START)
    assert value == objective(best) > objective(START)
    for name in BEST:
        assert abs(log2(best[name] / BEST[name])) < 0.12
    pairs = [('sigma1', 'sigma2'), ('lambda_', 'eta')]
    assert evaluated[:4] == pairs * 2
    assert len(evaluated) < 20
    # The last sweep of each pair is around the best point and does not improve it.
    for pair in pairs:
        assert sweeps[pair].pair == pair
        assert max(sweeps[pair].values) == value
        assert best in sweeps[pair].points
        fixed = set(best) - set(pair)
        assert all(p[name] == best[name] for p in sweeps[pair].points for name in fixed)


def test_keeps_parameters_without_influence():
    best, value, _ = alternating_search(
        lambda pair, points: [-abs(log2(p['eta'])) - abs(log2(p['eta'] / 64)) / 2
                              for p in points],
        dict(START, eta=8.0),
    )  # fmt: skip
    assert best == START
    assert value == -3


def test_ignores_gains_below_tolerance():
    best, _, _ = alternating_search(
        lambda pair, points: [1e-6 * p['eta'] for p in points], START
    )
    assert best == START


def test_raises_on_invalid_factors_or_start():
    with pytest.raises(ValueError, match='factors must contain 1'):
        alternating_search(lambda *_: [], START, factors=(0.5, 2))
    with pytest.raises(ValueError, match='above 0'):
        alternating_search(lambda *_: [], dict(START, eta=0.0))
