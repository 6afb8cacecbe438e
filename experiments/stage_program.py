# SPDX-License-Identifier: Apache-2.0
"""Programs of several stages: their command line, and how they run and continue."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from experiments.stages import Stage, StageError, StageRunner
from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.tables import table_console


def run_program(
    groups: Sequence[Sequence[Stage]],
    logs: Path,
    settings: dict,
    console: Console,
    report: Callable[[Console, float], None],
) -> int:
    """Run the stages that are not finished, and report the results.

    Args:
        groups (Sequence[Sequence[Stage]]): The stages; those of an inner sequence run
            at the same time.
        logs (Path): Folder of the logs and of the journal of finished stages.
        settings (dict): Settings of the program. A run with other settings does not
            continue.
        console (Console): Where progress and results are printed.
        report (Callable): Prints the results, given the console and the seconds that
            the program took.

    Returns:
        int: Exit status; 130 after an interrupt.
    """
    start = time.monotonic()
    try:
        runner = StageRunner(logs, settings, sum(map(len, groups)), console)
        for group in groups:
            runner.run(*group)
    except KeyboardInterrupt:
        console.print('Interrupted. Run the same command to continue.')
        return 130
    except (StageError, ValueError) as error:
        console.print(f'{error}', style='red', markup=False, soft_wrap=True)
        console.print('Run the same command to continue, or add --restart.')
        return 1
    report(console, time.monotonic() - start)
    return 0


def forget_stages(logs: Path) -> None:
    """Forget which stages are finished."""
    (logs / 'stages.jsonl').unlink(missing_ok=True)


def main(description: str, run: Callable[[int, bool, Console], int]) -> int:
    """Read the options of a program, and run it.

    Args:
        description (str): Text of ``--help``.
        run (Callable): The program, given the seed, whether to restart, and a console.

    Returns:
        int: Exit status.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--seed',
        type=at_least(0),
        default=0,
        help='random seed of the trainings (default: 0)',
    )
    parser.add_argument(
        '--restart', action='store_true', help='run the finished stages again'
    )
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    return run(args.seed, args.restart, table_console(markup=True))
