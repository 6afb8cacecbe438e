# SPDX-License-Identifier: Apache-2.0
"""Units of work: the inputs whose poses become one file of the output."""

import hashlib
import json
from collections.abc import Collection
from itertools import groupby
from typing import NamedTuple

from .items import Item, Row, in_order


class Unit(NamedTuple):
    """A video, or some images.

    Attributes:
        items (list[Item]): The inputs.
    """

    items: list[Item]

    @property
    def name(self) -> str:
        """Name of the part of the output, the same whenever the inputs are the same."""
        paths = '\n'.join(item.path for item in self.items)
        return f'part-{hashlib.sha256(paths.encode()).hexdigest()[:16]}.parquet'

    def to_json(self) -> str:
        """Convert to text, which is sent to a worker."""
        return json.dumps(self.items)

    @classmethod
    def from_json(cls, text: str) -> 'Unit':
        """Read the text of :meth:`to_json`."""
        return cls(
            [
                Item(path, file, size, span and tuple(span), row and Row(*row))
                for path, file, size, span, row in json.loads(text)
            ]
        )


def make_units(
    items: list[Item], images_per_part: int, done: Collection[str] = ()
) -> list[Unit]:
    """Group inputs into units, the longest video first.

    Groups depend on all inputs, not on those that are done. A worker that outlives its
    job therefore writes the same part as the next job.

    Args:
        items (list[Item]): All inputs.
        images_per_part (int): Images of a unit. A video is a unit of its own.
        done (Collection[str]): Paths of the inputs that are left out. Defaults to
            ``()``.

    Returns:
        list[Unit]: The units.

    Example:
        >>> items = [Item(x, x) for x in ('a.jpg', 'b.jpg', 'c.jpg', 'd.mp4')]
        >>> [[i.path for i in unit.items] for unit in make_units(items, 2, {'b.jpg'})]
        [['d.mp4'], ['a.jpg'], ['c.jpg']]
    """
    groups = []
    for is_video, same in groupby(in_order(items), key=lambda item: item.is_video):
        ordered, size = [*same], 1 if is_video else images_per_part
        groups += [ordered[i : i + size] for i in range(0, len(ordered), size)]
    left = ([item for item in group if item.path not in done] for group in groups)
    return [Unit(group) for group in left if group]


def part_size(images: int, workers: int, batch: int, maximum: int) -> int:
    """Images of a unit, so that each worker has several units.

    Args:
        images (int): Number of images of the job.
        workers (int): Number of workers.
        batch (int): Images that are processed together. A unit is a multiple of it, so
            that batches do not depend on the number of workers.
        maximum (int): Largest number of images of a unit.

    Returns:
        int: The number, at least 1.

    Example:
        >>> part_size(images=1000, workers=2, batch=8, maximum=256)
        128
    """
    wanted = -(-images // (_UNITS_PER_WORKER * workers))
    return min(max(1, -(-wanted // batch)) * batch, maximum)


# Fewer units leave workers idle at the end; more are more files.
_UNITS_PER_WORKER = 4
