# SPDX-License-Identifier: Apache-2.0
"""Time functions in turns in one process, and print medians and ratios."""

from collections.abc import Callable
from statistics import median

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.benchmark import Timer


def add_device_argument(parser) -> None:
    """Add ``--device``, by default CUDA where there is one."""
    default = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', default=default, help=f'default here: {default}')


def device_name(device: str) -> str:
    """Name of the device for a table's title."""
    if torch.device(device).type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def measure(
    functions: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Time functions in turns, so that a machine that slows down slows all of them.

    In a turn a function runs for about 20 ms, once if it takes longer. One round before
    the first is not counted.

    Args:
        functions (dict[str, Callable]): What to time, by name.
        rounds (int): How many turns.

    Returns:
        dict[str, list[float]]: Milliseconds of each turn, by name.
    """
    timers = {
        name: Timer('function()', globals=dict(function=function),
                    num_threads=torch.get_num_threads())
        for name, function in functions.items()
    }  # fmt: skip
    # timeit waits for CUDA to finish
    runs = {
        name: max(1, round(0.02 / timer.timeit(1).mean))
        for name, timer in timers.items()
    }
    times = {name: [] for name in functions}
    for _ in track(range(rounds), 'timing'):
        for name, timer in timers.items():
            times[name].append(timer.timeit(runs[name]).mean * 1e3)
    return times


def compare(
    title: str, functions: dict[str, Callable[[], object]], rounds: int
) -> None:
    """Print how long each function takes, against the first.

    Args:
        title (str): Title of the table.
        functions (dict[str, Callable]): What to time, by name; the first one is the
            one that the ratios are to.
        rounds (int): As :func:`measure`'s.
    """
    times = measure(functions, rounds)
    medians = {name: median(values) for name, values in times.items()}
    reference = next(iter(medians.values()))
    table = Table(
        '', 'median ms', 'least ms', 'times faster than the first', title=title
    )
    for name, value in medians.items():
        ratio = f'{reference / value:.2f}'
        table.add_row(name, f'{value:.2f}', f'{min(times[name]):.2f}', ratio)
    Console().print(table)
