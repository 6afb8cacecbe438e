# SPDX-License-Identifier: Apache-2.0
"""List the trained models in this package.

Example:
    rmpe models
"""

import argparse

from rich.table import Table

from rmpe_plugin.apis import list_models
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    return argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()


@exit_status
def main() -> None:
    parse_args()
    table = Table('name', 'config', 'weights')
    for name, model in list_models().items():
        table.add_row(name, model.config.name, model.weights)
    table_console().print(table)
