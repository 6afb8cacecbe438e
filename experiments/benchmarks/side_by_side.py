# SPDX-License-Identifier: Apache-2.0
"""Time functions alternately in one process and print medians and ratios."""

from collections.abc import Callable
from statistics import median

import torch
from rich.progress import track
from rich.table import Table
from torch.utils.benchmark import Timer

from rmpe_plugin.utils.tables import table_console


def add_device_argument(parser) -> None:
    """Add ``--device``; the default is CUDA if it is available."""
    default = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument(
        '--device', default=default, help=f'default on this machine: {default}'
    )


def device_name(device: str) -> str:
    """Name of the device for the title of a table."""
    if torch.device(device).type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def measure(
    functions: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Time functions alternately, so that changes of machine speed affect all of them.

    In each round every function runs for about 20 ms, or once if it takes longer. A
    warm-up round is not counted.

    Args:
        functions (dict[str, Callable]): Functions to time, by name.
        rounds (int): Number of rounds.

    Returns:
        dict[str, list[float]]: Milliseconds per call in each round, by name.
    """
    timers = {
        name: Timer('function()', globals=dict(function=function),
                    num_threads=torch.get_num_threads())
        for name, function in functions.items()
    }  # fmt: skip
    # timeit synchronises CUDA. The minimum is not affected by other processes.
    runs = {
        name: max(1, round(0.02 / min(timer.timeit(1).mean for _ in range(3))))
        for name, timer in timers.items()
    }
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in track(range(rounds), 'timing'):
        for name, timer in timers.items():
            times[name].append(timer.timeit(runs[name]).mean * 1e3)
    return times


def compare(
    title: str, functions: dict[str, Callable[[], object]], rounds: int
) -> None:
    """Print the time of each function and its speed relative to the first.

    Args:
        title (str): Title of the table.
        functions (dict[str, Callable]): Functions to time, by name. The first one is
            the reference.
        rounds (int): Number of rounds, see :func:`measure`.
    """
    times = measure(functions, rounds)
    medians = {name: median(values) for name, values in times.items()}
    reference = next(iter(medians.values()))
    table = Table('', 'median (ms)', 'minimum (ms)', 'relative speed', title=title)
    for name, value in medians.items():
        ratio = f'{reference / value:.2f}'
        table.add_row(name, f'{value:.3f}', f'{min(times[name]):.3f}', ratio)
    table_console().print(table)
