# SPDX-License-Identifier: Apache-2.0
"""Alternating grid search for the four parameters of pose NMS (RMPE, section 3.2)."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, product
from math import log
from typing import NamedTuple

Point = dict[str, float]

# Factors of a sweep, in both directions: some near the best value, some far from it.
FACTORS = tuple(
    2.0**power for power in (-6, -3, -1, -1 / 3, -1 / 9, 0, 1 / 9, 1 / 3, 1, 3, 6)
)
PAIRS = (('sigma1', 'sigma2'), ('lambda_', 'eta'))


def _log_distance(a: Point, b: Point) -> float:
    """Distance between two points: the sum of their absolute log2 ratios."""
    return sum(abs(log(a[name] / b[name], 2)) for name in a)


class Sweep(NamedTuple):
    """A grid over two parameters around a point; the other parameters are fixed.

    Attributes:
        pair (tuple[str, str]): Names of the two parameters.
        points (list[Point]): Points of the grid. The second parameter varies fastest.
        values (list[float]): Value of each point.

    Example:
        >>> sweep = Sweep(('x', 'y'), [dict(x=1.0, y=1.0), dict(x=1.0, y=2.0)], [0, 5])
        >>> sweep.points[sweep.values.index(max(sweep.values))]
        {'x': 1.0, 'y': 2.0}
    """

    pair: tuple[str, str]
    points: list[Point]
    values: list[float]


def alternating_search(
    evaluate: Callable[[tuple[str, str], list[Point]], Sequence[float]],
    start: Point,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    factors: Sequence[float] = FACTORS,
    tolerance: float = 1e-4,
) -> tuple[Point, float, dict[tuple[str, str], Sweep]]:
    """Maximise a function over two parameters at a time until no pair improves it.

    RMPE, section 3.2, searches two parameters while the other two are fixed, because a
    search over all four is too expensive. The paper gives neither the pairs nor the
    steps. Here a sweep is a grid: the two values of the best point so far, multiplied
    by all pairs of factors.

    Args:
        evaluate (Callable): Gets the pair and the points of a sweep and returns their
            values, higher is better. It may cache them: points are repeated.
        start (Point): First point, all values above 0.
        pairs (Sequence[tuple[str, str]]): Pairs of parameters in the order in which
            they are searched. Defaults to the two scales, then the weight and the
            threshold.
        factors (Sequence[float]): Factors of a sweep; must contain 1. Defaults to 11
            factors from 1/64 to 64.
        tolerance (float): Values that differ by less are considered equal. Among equal
            points the one nearest to the best point so far is chosen, so that a
            parameter without influence is not changed. Defaults to 1e-4, a hundredth of
            a point of AP.

    Returns:
        tuple[Point, float, dict[tuple[str, str], Sweep]]: The best point, its value,
        and the last sweep of each pair, which is around the best point.

    Raises:
        ValueError: If ``factors`` does not contain 1, or ``start`` contains a value
            that is not above 0.

    Example:
        >>> def evaluate(pair, points):
        ...     return [-((p['x'] - 2) ** 2) - (p['y'] - p['x']) ** 2 for p in points]
        >>> best, value, _ = alternating_search(
        ...     evaluate, dict(x=1.0, y=1.0), [('x', 'y')], (0.5, 1.0, 2.0)
        ... )
        >>> best
        {'x': 2.0, 'y': 2.0}
    """
    if 1 not in factors:
        raise ValueError(f'factors must contain 1, got {factors}')
    if min(start.values()) <= 0:
        raise ValueError(f'values of start must be above 0, got {start}')
    best = start
    sweeps: dict[tuple[str, str], Sweep] = {}
    unimproved = 0
    for pair in cycle(pairs):
        first, second = pair
        points = [
            {**best, first: best[first] * f, second: best[second] * g}
            for f, g in product(factors, factors)
        ]
        values = list(evaluate(pair, points))
        sweeps[pair] = Sweep(pair, points, values)
        best_value, highest = values[points.index(best)], max(values)
        unimproved += 1
        if highest > best_value + tolerance:
            equal = [
                p
                for p, v in zip(points, values, strict=True)
                if v > highest - tolerance
            ]
            best, unimproved = min(equal, key=partial(_log_distance, best)), 0
        if unimproved == len(pairs):
            break
    return best, best_value, sweeps
