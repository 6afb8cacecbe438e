# SPDX-License-Identifier: Apache-2.0
"""Tables of the ablation: metrics and their changes, and windows of the SSTNs."""

from collections.abc import Iterator, Sequence

from experiments.runs import mean_metrics
from rmpe_plugin.fitting.evaluation_split import METRICS
from rmpe_plugin.utils.tables import Table

from .comparison import Change, TableResult
from .plan import TABLES, ComparisonTable

#: Metrics of every seed by name, see :meth:`Ablation.windows`.
Windows = dict[str, list[dict[str, float]]]


def format_tables(
    results: dict[str, TableResult], windows: Windows
) -> dict[str, Table]:
    """Format the results of the ablation.

    Args:
        results (dict[str, TableResult]): The results of every table, which are written
            as percent.
        windows (dict[str, list[dict[str, float]]]): IoU of crops and windows.

    Returns:
        dict[str, Table]: The tables by title, the windows last. The first cell of each
        header is empty.
    """
    tables = {
        title: Table(_header(title), [*_rows(title, result)])
        for title, result in results.items()
    }
    header = '', 'crops', 'windows', 'change by seed'
    windows_table = Table(header, [*_window_rows(windows)])
    return {**tables, 'IoU with the ground-truth windows': windows_table}


def _header(title: str) -> tuple[str, ...]:
    """Header of a table of results."""
    changes = (f'change of {metric}' for metric in METRICS)
    paper = f"paper's change of {TABLES[title].metric}"
    return '', *METRICS, 'recall', *changes, paper, 'as in the paper'


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


def _rows(title: str, results: TableResult) -> Iterator[tuple[str, ...]]:
    """The cells of every row of a table of results."""
    table = TABLES[title]
    for name, (values, recall, changes) in results.items():
        columns = *values.values(), recall
        means = [f'{100 * sum(seeds) / len(seeds):.1f}' for seeds in columns]
        cells = [change_cell(changes[metric]) if changes else '' for metric in METRICS]
        yield name, *means, *cells, *_paper_cells(table, name, changes)


def change_cell(change: Change) -> str:
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


def _window_rows(windows: Windows) -> Iterator[tuple[str, ...]]:
    """The cells of every row of the table of windows."""
    for name, seeds in windows.items():
        mean = mean_metrics(seeds)
        gains = ', '.join(f'{seed["window/gain"]:+.3f}' for seed in seeds)
        yield (
            name,
            f'{mean["window/iou_crop"]:.3f}',
            f'{mean["window/iou"]:.3f}',
            gains,
        )


def to_markdown(tables: dict[str, Table]) -> str:
    """Write tables in Markdown.

    Args:
        tables (dict[str, Table]): The tables by title, see :func:`format_tables`.

    Returns:
        str: The tables, with the title in the first cell of the header.
    """
    text: list[Sequence[str]] = []
    for title, (header, rows) in tables.items():
        text += [(title, *header[1:]), ('---',) * len(header), *rows, ()]
    return '\n'.join(f'| {" | ".join(line)} |' if line else '' for line in text)
