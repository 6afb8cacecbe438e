# SPDX-License-Identifier: Apache-2.0
"""Tables of the ablation: metrics and their changes, and windows of the SSTNs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rmpe_plugin.learning.evaluation_split import METRICS

from .comparison import Change, TableResult
from .plan import TABLES, ComparisonTable

#: Metrics of every seed by name, see :meth:`Ablation.windows`.
Windows = dict[str, list[dict[str, float]]]


class FormattedTable(NamedTuple):
    """A table of text.

    Attributes:
        title (str): Its title.
        headings (tuple[str, ...]): Headings of the columns after the first one.
        lines (list[tuple[str, ...]]): Cells of each row.
    """

    title: str
    headings: tuple[str, ...]
    lines: list[tuple[str, ...]]


def format_tables(
    results: dict[str, TableResult], windows: Windows
) -> list[FormattedTable]:
    """Format the results of the ablation.

    Args:
        results (dict[str, TableResult]): The results of every table, which are written
            as percent.
        windows (dict[str, list[dict[str, float]]]): IoU of crops and windows.

    Returns:
        list[FormattedTable]: The tables, the windows last.
    """
    tables = [
        FormattedTable(title, _headings(title), [*_lines(title, result)])
        for title, result in results.items()
    ]
    headings = 'crops', 'windows', 'change by seed'
    lines = [*_window_lines(windows)]
    return [
        *tables,
        FormattedTable('IoU with the ground-truth windows', headings, lines),
    ]


def _headings(title: str) -> tuple[str, ...]:
    """Headings of a table of results but the first one."""
    changes = (f'change of {metric}' for metric in METRICS)
    paper = f"paper's change of {TABLES[title].metric}"
    return *METRICS, 'recall', *changes, paper, 'as in the paper'


def agreement(change: Change, paper: float | None) -> str:
    """Compare the sign of a change with that of the paper's.

    Args:
        change (Change): The change.
        paper (float, optional): Change in the paper.

    Returns:
        str: ``'yes'``, ``'no'``, ``'undecided'`` if :attr:`Change.sign` is 0, or empty
        without ``paper``.
    """
    if paper is None:
        return ''
    if not change.sign:
        return 'undecided'
    return 'yes' if change.sign * paper > 0 else 'no'


def _lines(title: str, results: TableResult) -> Iterator[tuple[str, ...]]:
    """The cells of every row of a table of results."""
    table = TABLES[title]
    for name, (values, recall, changes) in results.items():
        columns = *values.values(), recall
        means = [f'{100 * sum(seeds) / len(seeds):.1f}' for seeds in columns]
        cells = [_change_cell(changes[metric]) if changes else '' for metric in METRICS]
        yield name, *means, *cells, *_paper_cells(table, name, changes)


def _change_cell(change: Change) -> str:
    """The mean change and its interval."""
    low, high = (100 * value for value in change.interval)
    return f'{100 * change.mean:+.1f} ({low:+.1f} to {high:+.1f})'


def _paper_cells(
    table: ComparisonTable, name: str, changes: dict[str, Change]
) -> tuple[str, str]:
    """The paper's change, and whether this one has its sign."""
    paper, reference = table.rows[name].paper, table.rows[table.reference].paper
    if not changes or paper is None or reference is None:
        return '', ''
    change = paper - reference
    return f'{change:+.1f}', agreement(changes[table.metric], change)


def _window_lines(windows: Windows) -> Iterator[tuple[str, ...]]:
    """The cells of every row of the table of windows."""
    for name, seeds in windows.items():
        crops, found = (
            sum(seed[f'window/{key}'] for seed in seeds) / len(seeds)
            for key in ('iou_crop', 'iou')
        )
        gains = ', '.join(f'{seed["window/gain"]:+.3f}' for seed in seeds)
        yield name, f'{crops:.3f}', f'{found:.3f}', gains


def to_markdown(tables: Sequence[FormattedTable]) -> str:
    """Write tables in Markdown.

    Args:
        tables (Sequence[FormattedTable]): The tables.

    Returns:
        str: The tables.
    """
    text: list[tuple[str, ...]] = []
    for title, headings, lines in tables:
        names = (title, *headings)
        text += [names, ('---',) * len(names), *lines, ()]
    return '\n'.join(f'| {" | ".join(line)} |' if line else '' for line in text)
