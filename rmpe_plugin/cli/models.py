# SPDX-License-Identifier: Apache-2.0
"""List the trained models that commands take by name.

They are those in this package, the top-down pose estimators in MMPose's index, and the
detectors in MMPose's and MMDetection's. AP is that of the index, in percent.

Example:
    rmpe models
    rmpe models package
    rmpe models pose rtmpose coco
"""

import argparse
from pathlib import Path

from rich.table import Table

from rmpe_plugin.apis import ListedModel, list_models
from rmpe_plugin.cli._exit_status import exit_status
from rmpe_plugin.utils.download import cached_file
from rmpe_plugin.utils.packages import find_in_package
from rmpe_plugin.utils.tables import table_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'words', nargs='*', metavar='WORD',
        help='list the models whose row contains all these words, such as pose, '
        'detector, package, cache, or a part of a name',
    )  # fmt: skip
    return parser.parse_args()


def row(model: ListedModel) -> tuple[str, ...]:
    """Cells of a model: kind, names, data set, AP, size, where its weights are."""
    assert model.weights is not None
    if model.weights.startswith('package://'):
        place, file = 'package', find_in_package(model.weights)
    else:
        file = cached_file(model.weights)
        place = 'cache' if file.is_file() else 'to download'
    ap = '' if model.ap is None else f'{model.ap:.1f}'
    names = ', '.join(model.names)
    return (str(model.kind), names, model.dataset, ap, size(file), place)


def size(file: Path) -> str:
    """Size of a file; empty if it is not there."""
    return f'{file.stat().st_size / 1e6:.1f} MB' if file.is_file() else ''


@exit_status
def main() -> None:
    words = [word.lower() for word in parse_args().words]
    models = list_models()
    table = Table('kind', 'names', 'data set', 'AP', 'size', 'weights')
    for cells in map(row, models):
        text = ' '.join(cells).lower()
        if all(word in text for word in words):
            table.add_row(*cells)
    table_console().print(table)
    print(f'{table.row_count} of {len(models)} models; cache: {cached_file("")}')
