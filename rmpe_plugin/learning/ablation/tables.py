# SPDX-License-Identifier: Apache-2.0
"""Tables of the ablation: metrics, their changes, and the papers' changes; percent."""

from collections.abc import Iterator

from rmpe_plugin.learning.evaluation_split import METRICS

from .comparison import Change, TableResult
from .plan import TABLES, ComparisonTable

#: Headings of the table of the SSTNs' windows.
WINDOW_HEADINGS = (
    'IoU with the ground-truth windows',
    'crops',
    'windows',
    'change by seed',
)


def headings(title: str) -> tuple[str, ...]:
    """Headings of a table, whose values are percent.

    Args:
        title (str): Title of the table.

    Returns:
        tuple[str, ...]: The first one is empty.
    """
    changes = (f'change of {metric}' for metric in METRICS)
    paper = f"paper's change of {TABLES[title].metric}"
    return '', *METRICS, *changes, paper, 'as in the paper'


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


def table_lines(title: str, results: TableResult) -> Iterator[tuple[str, ...]]:
    """Format the results of a table.

    Args:
        title (str): Title of the table.
        results (TableResult): Its results.

    Yields:
        tuple[str, ...]: The cells of every row below :func:`headings`.
    """
    table = TABLES[title]
    for name, (values, changes) in results.items():
        means = [f'{100 * sum(seeds) / len(seeds):.1f}' for seeds in values.values()]
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


def window_lines(windows: dict[str, list[dict[str, float]]]) -> Iterator[tuple]:
    """Format how precise the windows of the SSTNs are.

    Args:
        windows (dict[str, list[dict[str, float]]]): Metrics of every seed, see
            :meth:`Ablation.windows`.

    Yields:
        tuple[str, ...]: The cells of every row below :data:`WINDOW_HEADINGS`.
    """
    for name, seeds in windows.items():
        crops, found = (
            sum(seed[f'window/{key}'] for seed in seeds) / len(seeds)
            for key in ('iou_crop', 'iou')
        )
        gains = ', '.join(f'{seed["window/gain"]:+.3f}' for seed in seeds)
        yield name, f'{crops:.3f}', f'{found:.3f}', gains


def to_markdown(
    results: dict[str, TableResult], windows: dict[str, list[dict[str, float]]]
) -> str:
    """Format the results as Markdown tables.

    Args:
        results (dict[str, TableResult]): The results of every table.
        windows (dict[str, list[dict[str, float]]]): See :func:`window_lines`.

    Returns:
        str: The tables.
    """
    tables = [
        ((title, *headings(title)[1:]), table_lines(title, result))
        for title, result in results.items()
    ]
    text = []
    for names, lines in (*tables, (WINDOW_HEADINGS, window_lines(windows))):
        text += [names, ('---',) * len(names), *lines, ()]
    return '\n'.join(f'| {" | ".join(line)} |' if line else '' for line in text)
