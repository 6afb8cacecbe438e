# SPDX-License-Identifier: Apache-2.0
"""Running steps: console lines, logs, failures, interruption and resumption."""

import os
import re
import signal
import sys
import time
from io import StringIO
from threading import Thread

import psutil
import pytest
from rich.console import Console

from experiments.steps import Step, StepError, run_steps

SETTINGS = dict(seed=0)


def python(code, name='first', *args, **kwargs):
    """A step that runs Python code."""
    command = (sys.executable, '-c', code, *args)
    return Step(name, f'running {name}', command, **kwargs)


@pytest.fixture
def console():
    return Console(file=StringIO(), width=200)


@pytest.fixture
def run(tmp_path, console):
    """A function that runs groups of steps."""
    return lambda *groups, settings=SETTINGS: run_steps(
        groups, tmp_path, settings, console
    )


def lines(console):
    return console.file.getvalue().splitlines()


def test_one_line_per_step_and_output_in_the_log(run, console, tmp_path):
    noisy = 'import sys; print("out"); print("warning", file=sys.stderr)'
    run([python(noisy)], [python('pass', 'second')])
    assert len(lines(console)) == 2
    for i, name in enumerate(('first', 'second')):
        log = re.escape(str(tmp_path / f'{name}.log'))
        expected = rf'\[{i + 1}/2\] running {name}: \d+ s +{log}'
        assert re.fullmatch(expected, lines(console)[i])
    log = (tmp_path / 'first.log').read_text().splitlines()
    assert log[0].startswith('$ ')
    assert sorted(log[1:]) == ['out', 'warning']


def test_steps_of_a_group_run_at_the_same_time_and_share_the_cores(run, tmp_path):
    # each waits for the file of the other
    wait = (
        'import os, pathlib, sys, time\n'
        'pathlib.Path(sys.argv[1]).touch()\n'
        'while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.05)\n'
        'print(os.environ["OMP_NUM_THREADS"])'
    )
    a, b = tmp_path / 'a', tmp_path / 'b'
    run([python(wait, 'first', a, b), python(wait, 'second', b, a)])
    threads = max(1, os.cpu_count() // 2)
    for name in ('first', 'second'):
        assert (tmp_path / f'{name}.log').read_text().endswith(f'\n{threads}\n')


def test_failure_shows_the_end_of_the_log_and_its_path(run, tmp_path):
    code = 'for i in range(40): print("line", i)\nraise SystemExit(3)'
    with pytest.raises(StepError) as error:
        run([python(code)])
    message = str(error.value)
    assert 'running first failed with exit status 3' in message
    assert str(tmp_path / 'first.log') in message
    assert message.endswith('line 39')
    assert 'line 25\n' in message
    assert 'line 24\n' not in message


def test_failure_stops_the_other_step(run):
    slow = python('import time; time.sleep(60)', 'second')
    start = time.monotonic()
    with pytest.raises(StepError):
        run([python('raise SystemExit(1)'), slow])
    assert time.monotonic() - start < 30


def test_finished_steps_are_skipped(run, console, tmp_path):
    append = python(f'open({str(tmp_path / "runs")!r}, "a").write("x")')
    run([append])
    run([append], [python('pass', 'second')])
    assert (tmp_path / 'runs').read_text() == 'x'
    expected = r'\[1/2\] running first: finished before, \d+ s'
    assert re.match(expected, lines(console)[1])
    assert lines(console)[2].startswith('[2/2] running second: ')


def test_unfinished_step_gets_its_resume_arguments(run, tmp_path):
    code = 'import sys; print(sys.argv[1:]); raise SystemExit(len(sys.argv) == 1)'
    step = python(code, resume=('--resume',))
    with pytest.raises(StepError):
        run([step])
    run([step])
    printed = (tmp_path / 'first.log').read_text().splitlines()
    assert printed[1] == '[]'
    assert printed[-1] == "['--resume']"


def test_raises_on_other_settings(run):
    run([python('pass')])
    with pytest.raises(ValueError, match='other settings'):
        run([python('pass')], settings=dict(seed=1))


@pytest.fixture
def interruptible():
    """A shell starts background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupt_stops_child_processes(run, tmp_path, interruptible):
    # the command and its child write their process ids
    code = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'
    child = f'subprocess.Popen([sys.executable, "-c", {code!r}])'
    step = python(f'import subprocess, sys; {child}; {code}')

    def ids():
        log = tmp_path / 'first.log'
        words = log.read_text().splitlines() if log.exists() else []
        return [int(word) for word in words if word.isdigit()]

    def interrupt():
        deadline = time.monotonic() + 60
        while len(ids()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run([step])
    assert len(ids()) == 2
    for process in ids():
        # the child is re-parented; give its new parent time to reap it
        deadline = time.monotonic() + 30
        while psutil.pid_exists(process) and time.monotonic() < deadline:
            if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.05)
        else:
            assert not psutil.pid_exists(process)
    assert 'first' not in (tmp_path / 'finished.jsonl').read_text()
