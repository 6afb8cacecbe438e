# SPDX-License-Identifier: Apache-2.0
"""Tables of the ablation: the change of AP in every row, and that in the paper."""

from collections.abc import Iterator

import numpy as np

from .plan import TABLES

HEADINGS = (
    '',
    'mean AP',
    'AP per seed',
    'change',
    'change in the paper',
    'same direction',
)


def agreement(changes: np.ndarray, paper: float | None) -> str:
    """Compare the sign of the changes with that of the paper's.

    Args:
        changes (np.ndarray): Change of AP per seed (S,).
        paper (float, optional): Change in the paper.

    Returns:
        str: ``'yes'``, ``'no'``, ``'seeds differ'``, or empty without ``paper``.
    """
    if paper is None:
        return ''
    if len(set(np.sign(changes))) > 1 or not changes.any():
        return 'seeds differ'
    return 'yes' if np.sign(changes[0]) == np.sign(paper) else 'no'


def table_lines(
    results: dict[str, dict[str, list[float]]],
) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Format the results of every table.

    Args:
        results (dict[str, dict[str, list[float]]]): AP per seed of every table and row.

    Yields:
        tuple[str, list[tuple[str, ...]]]: Title, and the cells of every row below
        :data:`HEADINGS`. The first row is the reference.
    """
    for title, rows in TABLES.items():
        reference = next(iter(rows))
        lines = []
        for name, row in rows.items():
            aps = np.array(results[title][name])
            cells = (name, f'{aps.mean():.4f}', ', '.join(f'{ap:.4f}' for ap in aps))
            if name == reference:
                lines.append((*cells, '', '', ''))
                continue
            changes = aps - np.array(results[title][reference])
            paper = None
            if row.paper is not None:
                paper = row.paper - rows[reference].paper
            lines.append((
                *cells,
                f'{changes.mean():+.4f}',
                '' if paper is None else f'{paper:+.1f}',
                agreement(changes, paper),
            ))  # fmt: skip
        yield title, lines


def to_markdown(results: dict[str, dict[str, list[float]]]) -> str:
    """Format the results as Markdown tables.

    Args:
        results (dict[str, dict[str, list[float]]]): See :func:`table_lines`.

    Returns:
        str: The tables.
    """
    text = []
    for title, lines in table_lines(results):
        text += [(title, *HEADINGS[1:]), ('---',) * len(HEADINGS), *lines, ()]
    return '\n'.join(f'| {" | ".join(line)} |' if line else '' for line in text)
