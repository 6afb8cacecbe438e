# SPDX-License-Identifier: Apache-2.0
"""Tables of text, on the console and in the log of a training or test."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import rich.table
from mmengine.logging import MMLogger
from rich.console import Console

# Wide enough for all tables; lines of a log or file are not wrapped.
_WIDTH = 160


class Table(NamedTuple):
    """A table of strings.

    Attributes:
        header (Sequence[str]): Cells of the header.
        rows (list[Sequence[str]]): Cells of each row.
    """

    header: Sequence[str]
    rows: list[Sequence[str]]


def rich_table(table: Table, title: str | None = None) -> rich.table.Table:
    """Convert a table for rich's console.

    Args:
        table (Table): The table.
        title (str, optional): Title above it. Defaults to ``None``.

    Returns:
        rich.table.Table: The converted table.
    """
    converted = rich.table.Table(*table.header, title=title)
    for row in table.rows:
        converted.add_row(*row)
    return converted


def table_console(markup: bool = False) -> Console:
    """Create a console for tables.

    The width is that of the terminal, or wide enough for all tables if the output is a
    file.

    Args:
        markup (bool): Whether brackets are rich's markup, which changes names that
            contain them. Defaults to ``False``.

    Returns:
        Console: The console of the standard output.
    """
    return Console(width=None if sys.stdout.isatty() else _WIDTH, markup=markup)


def log_tables(*tables: Table) -> None:
    """Write tables to the log and its file.

    Args:
        tables (Table): The tables, one below the other.
    """
    console = Console(width=_WIDTH, markup=False)
    with console.capture() as captured:
        console.print(*map(rich_table, tables))
    MMLogger.get_current_instance().info('\n' + captured.get())
