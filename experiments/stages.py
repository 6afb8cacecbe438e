# SPDX-License-Identifier: Apache-2.0
"""Run the commands of a longer program with progress, logs and resumption."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from rmpe_plugin.utils.files import ResumeJournal

POLL_SECONDS = 0.2
# how long a stopped command may take to end before it is killed
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Stage:
    """One command of a longer program.

    Attributes:
        name (str): Name in the journal and of the log file, such as ``'detect'``.
        title (str): What the console shows, such as ``'detecting people'``.
        command (Sequence[str]): Program and arguments.
        resume (Sequence[str]): Arguments added when an earlier run of the stage was
            interrupted. Defaults to ``()``: it starts from the beginning.
        environment (dict[str, str]): Environment variables added to this process's.
        progress (Callable[[], float], optional): Returns the finished share, 0 to 1.
            Defaults to ``None``, unknown.
    """

    name: str
    title: str
    command: Sequence[str]
    resume: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    progress: Callable[[], float] | None = None


class StageError(Exception):
    """A stage's command failed; the message has the end of its log."""


class StageRunner:
    """Runs stages, one line on the console for each, and remembers the finished ones.

    What a command prints goes to ``{log_dir}/{stage.name}.log``. When a stage fails or
    the user interrupts, the commands that run are stopped with all their child
    processes.

    Args:
        log_dir (str | Path): Folder of the logs and of the journal, ``stages.jsonl``.
        settings (dict): What the results depend on, JSON types only. Stages of a run
            with other settings are not skipped but raise.
        total (int): Number of stages of the program.
        console (Console): Where progress is shown.
        tail (int): Lines of a log that are shown when its stage fails. Defaults to 15.

    Raises:
        ValueError: If the journal belongs to a run with other settings.
    """

    def __init__(
        self,
        log_dir: str | Path,
        settings: dict,
        total: int,
        console: Console,
        tail: int = 15,
    ) -> None:
        self.log_dir = Path(log_dir)
        self.journal = ResumeJournal(self.log_dir / 'stages.jsonl', settings)
        self.total, self.console, self.tail = total, console, tail
        self.shown = 0

    def log(self, stage: Stage) -> Path:
        """Return the path of a stage's log."""
        return self.log_dir / f'{stage.name}.log'

    def seconds(self, stage: Stage) -> float | None:
        """Return how long a finished stage took, or ``None`` if it is not finished."""
        for record in self.journal.records:
            if record['stage'] == stage.name and 'seconds' in record:
                return record['seconds']
        return None

    def run(self, *stages: Stage) -> None:
        """Run stages at the same time, except those that are finished.

        Args:
            stages (Stage): The stages.

        Raises:
            StageError: If a command fails.
            KeyboardInterrupt: If the user interrupts.
        """
        waiting = []
        for stage in stages:
            if (seconds := self.seconds(stage)) is None:
                waiting.append(stage)
            else:
                self._print_line(stage, f'finished before, {seconds:.0f} s')
        with self._progress() as progress, self._processes(waiting) as processes:
            start = time.monotonic()
            tasks = {
                stage.name: progress.add_task(stage.title, total=None)
                for stage in waiting
            }
            while processes:
                time.sleep(POLL_SECONDS)
                for stage in [s for s in waiting if s.name in processes]:
                    if stage.progress is not None:
                        share = stage.progress()
                        progress.update(tasks[stage.name], total=1.0, completed=share)
                    if processes[stage.name].poll() is None:
                        continue
                    progress.remove_task(tasks[stage.name])
                    self._finish(
                        stage, processes.pop(stage.name), time.monotonic() - start
                    )

    def _finish(self, stage: Stage, process: subprocess.Popen, seconds: float) -> None:
        """Record a stage that has ended."""
        log = self.log(stage)
        if process.returncode:
            lines = log.read_text(errors='replace').splitlines()[-self.tail :]
            raise StageError(
                f'{stage.title} failed with exit status {process.returncode}. '
                f'The last lines of {log}:\n' + '\n'.join(lines)
            )
        self.journal.append(dict(stage=stage.name, seconds=round(seconds, 1)))
        self._print_line(stage, f'{seconds:.0f} s')

    def _print_line(self, stage: Stage, duration: str) -> None:
        self.shown += 1
        self.console.print(
            f'\\[{self.shown}/{self.total}] {escape(stage.title)}: {duration}'
            f'  [dim]{escape(str(self.log(stage)))}[/dim]',
            highlight=False,
            soft_wrap=True,
        )

    def _progress(self) -> Progress:
        return Progress(
            TextColumn('      {task.description}'),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    @contextmanager
    def _processes(self, stages: Sequence[Stage]) -> Iterator[dict]:
        """Start the stages' commands, and stop those that still run at the end."""
        processes: dict[str, subprocess.Popen] = {}
        try:
            for stage in stages:
                processes[stage.name] = self._start(stage)
            yield processes
        finally:
            stop(processes.values())

    def _start(self, stage: Stage) -> subprocess.Popen:
        """Start a stage's command in a process group of its own."""
        started = any(record['stage'] == stage.name for record in self.journal.records)
        if not started:
            self.journal.append(dict(stage=stage.name))
        command = [*stage.command, *(stage.resume if started else ())]
        with self.log(stage).open('a' if started else 'w') as log:
            print('$', *command, file=log, flush=True)
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ, **stage.environment),
                start_new_session=True,
            )


def stop(processes: Sequence[subprocess.Popen]) -> None:
    """Stop processes and their process groups; kill what does not end.

    Args:
        processes (Sequence[subprocess.Popen]): Leaders of process groups.
    """
    running = [process for process in processes if process.poll() is None]
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
