# SPDX-License-Identifier: Apache-2.0
"""How RMPE learns the four parameters of pose NMS."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, product
from math import log
from typing import NamedTuple

Point = dict[str, float]

# What each of two parameters is multiplied by: far from its value and near it.
FACTORS = tuple(
    2.0**power for power in (-6, -3, -1, -1 / 3, -1 / 9, 0, 1 / 9, 1 / 3, 1, 3, 6)
)
PAIRS = (('sigma1', 'sigma2'), ('lambda_', 'eta'))


def _steps(a: Point, b: Point) -> float:
    """How many doublings lie between two points."""
    return sum(abs(log(a[name] / b[name], 2)) for name in a)


class Sweep(NamedTuple):
    """Two parameters tried around a point, the others fixed.

    Attributes:
        pair (tuple[str, str]): The two.
        points (list[Point]): What was tried, the second one running faster.
        values (list[float]): What each was worth.
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
    """Maximise over two parameters at a time, alternately, until nothing improves.

    RMPE, section 3.2: a search over four parameters is too much, so two are searched
    with the other two fixed. The paper gives neither the pairs nor the steps; here the
    scales form one pair and the weight and the threshold the other, and a sweep is a
    grid of factors around the best point so far.

    Args:
        evaluate (Callable): Given a pair and the points of a sweep over it, gives
            their values, the higher the better. Points come again; it may remember.
        start (Point): Where to start, all values above 0.
        pairs (Sequence[tuple[str, str]]): Which two at a time. Defaults to the scales,
            then the weight and the threshold.
        factors (Sequence[float]): What a value is multiplied by, 1 among them.
        tolerance (float): Values that differ by less are equal; of equal ones the
            point nearest to the best so far is taken, so that a parameter that does not
            matter stays where it is. Defaults to 1e-4, a hundredth of a point of AP.

    Returns:
        tuple[Point, float, dict[tuple[str, str], Sweep]]: The best point, its value,
        and for each pair the last sweep, which is around that point.

    Raises:
        ValueError: If 1 is not among the factors, or a value to start at is not above
            0.

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
        raise ValueError(f'factors must hold 1, got {factors}')
    if min(start.values()) <= 0:
        raise ValueError(f'values to start at must be above 0, got {start}')
    best, sweeps, unimproved = start, {}, 0
    for pair in cycle(pairs):
        first, second = pair
        points = [
            {**best, first: best[first] * f, second: best[second] * g}
            for f, g in product(factors, factors)
        ]
        values = list(evaluate(pair, points))
        sweeps[pair] = Sweep(pair, points, values)
        here, top = values[points.index(best)], max(values)
        unimproved += 1
        if top > here + tolerance:
            equal = [
                p for p, v in zip(points, values, strict=True) if v > top - tolerance
            ]
            best, unimproved = min(equal, key=partial(_steps, best)), 0
        if unimproved == len(pairs):
            return best, here, sweeps
