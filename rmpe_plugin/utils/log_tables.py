# SPDX-License-Identifier: Apache-2.0
"""Tables in the log of a training or test."""

from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table

# Wide enough for all tables of the metrics; lines of the log are not wrapped.
_WIDTH = 120


def log_tables(*tables: Table) -> None:
    """Write tables to the log and its file.

    Args:
        tables (rich.table.Table): The tables, one below the other.
    """
    console = Console(width=_WIDTH)
    with console.capture() as captured:
        console.print(*tables)
    MMLogger.get_current_instance().info('\n' + captured.get())
