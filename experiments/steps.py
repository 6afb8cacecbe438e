# SPDX-License-Identifier: Apache-2.0
"""Programs of several commands: one line for each, logs, and resumption."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from rmpe_plugin.utils.arguments import at_least
from rmpe_plugin.utils.files import ResumeJournal
from rmpe_plugin.utils.tables import table_console

POLL_SECONDS = 0.2
# Lines of a log that are shown when its step fails.
TAIL = 15


@dataclass(frozen=True, eq=False)
class Step:
    """One command of a program.

    Attributes:
        name (str): Name in the journal and of the log file, such as ``'detect'``.
        title (str): What the console shows, such as ``'detecting people'``.
        command (Sequence): Program and arguments.
        resume (Sequence[str]): Arguments added when an earlier run of the step was
            interrupted. Defaults to ``()``: it starts from the beginning.
    """

    name: str
    title: str
    command: Sequence
    resume: Sequence[str] = ()


class StepError(Exception):
    """A step's command failed; the message has the end of its log."""


def rmpe(command: str, *args: object) -> list[str]:
    """Return the words of a command of ``rmpe``."""
    return [sys.executable, 'rmpe.py', *command.split(), *map(str, args)]


def run_steps(
    groups: Sequence[Sequence[Step]], logs: Path, settings: dict, console: Console
) -> None:
    """Run the steps that are not finished, and print a line for each.

    Args:
        groups (Sequence[Sequence[Step]]): The steps. Those of an inner sequence run
            at the same time and share the cores.
        logs (Path): Folder of the logs and of the journal of finished steps.
        settings (dict): What the results depend on, JSON types only.
        console (Console): Where the lines are printed.

    Raises:
        StepError: If a command fails. The other one is stopped.
        ValueError: If the journal belongs to a run with other settings.
    """
    journal = ResumeJournal(logs / 'finished.jsonl', settings)
    finished = {record['step']: record['seconds'] for record in journal.records}
    number, total = 0, sum(map(len, groups))

    def print_line(step: Step, duration: str) -> None:
        nonlocal number
        number += 1
        line = escape(f'[{number}/{total}] {step.title}: {duration}')
        log = escape(f'{logs / step.name}.log')
        console.print(f'{line}  [dim]{log}', highlight=False, soft_wrap=True)

    for group in groups:
        for step in group:
            if step.name in finished:
                print_line(step, f'finished before, {finished[step.name]:.0f} s')
        waiting = [step for step in group if step.name not in finished]
        threads = max(1, (os.cpu_count() or 1) // len(group))
        shared = dict(OMP_NUM_THREADS=str(threads)) if len(group) > 1 else {}
        with console.status('') as status, ExitStack() as stack:
            running = {
                step: stack.enter_context(_process(step, logs, shared))
                for step in waiting
            }
            for step, seconds in _ended(running, status):
                if running[step].returncode:
                    raise StepError(_failure(step, running[step], logs))
                journal.append(dict(step=step.name, seconds=round(seconds, 1)))
                print_line(step, f'{seconds:.0f} s')


@contextmanager
def _process(step: Step, logs: Path, environment: dict) -> Iterator[subprocess.Popen]:
    """A step's command with all its child processes, stopped at the end."""
    path = logs / f'{step.name}.log'
    command = [*step.command, *(step.resume if path.exists() else ())]
    with path.open('a') as log:
        print('$', *command, file=log, flush=True)
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, **environment),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _ended(
    running: dict[Step, subprocess.Popen], status: Status
) -> Iterator[tuple[Step, float]]:
    """Steps and their seconds in the order in which they end, with a spinner."""
    start, left = time.monotonic(), list(running)
    while left:
        time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - start
        titles = ', '.join(step.title for step in left)
        status.update(escape(f'{titles}: {seconds:.0f} s'))
        for step in [s for s in left if running[s].poll() is not None]:
            left.remove(step)
            yield step, seconds


def _failure(step: Step, process: subprocess.Popen, logs: Path) -> str:
    """The message of a failed step."""
    path = logs / f'{step.name}.log'
    lines = path.read_text(errors='replace').splitlines()[-TAIL:]
    return (
        f'{step.title} failed with exit status {process.returncode}. '
        f'The last lines of {path}:\n' + '\n'.join(lines)
    )


def run_program(
    groups: Sequence[Sequence[Step]],
    logs: Path,
    settings: dict,
    report: Callable[[Console], None],
    console: Console,
) -> int:
    """Run steps as :func:`run_steps` does, and report the results.

    Returns:
        int: Exit status; 130 after an interrupt.
    """
    start = time.monotonic()
    try:
        run_steps(groups, logs, settings, console)
    except KeyboardInterrupt:
        console.print('Interrupted. Run the same command to continue.')
        return 130
    except (StepError, ValueError) as error:
        console.print(f'{error}', style='red', markup=False, soft_wrap=True)
        console.print('Run the same command to continue, or add --restart.')
        return 1
    report(console)
    minutes = (time.monotonic() - start) / 60
    console.print(f'Finished in {minutes:.1f} minutes.', highlight=False)
    return 0


def forget_steps(logs: Path) -> None:
    """Forget the steps, so that they start from the beginning."""
    shutil.rmtree(logs, ignore_errors=True)


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
        '--seed', type=at_least(0), default=0,
        help='random seed of the trainings (default: 0)',
    )  # fmt: skip
    parser.add_argument(
        '--restart', action='store_true', help='run the finished steps again'
    )
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    return run(args.seed, args.restart, table_console(markup=True))
