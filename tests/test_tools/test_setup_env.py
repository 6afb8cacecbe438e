# SPDX-License-Identifier: Apache-2.0
"""The set-up script decides, fails and goes on as it says; stubs stand in for pip."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture
def checkout(tmp_path):
    """A folder with the set-up script and a place for a stub ``python3``."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'bin').mkdir()
    shutil.copy(ROOT / 'tools' / 'setup_env.sh', tmp_path / 'tools')
    shutil.copy(ROOT / 'constraints.txt', tmp_path)
    return tmp_path


def run(checkout, stub):
    python = checkout / 'bin' / 'python3'
    python.write_text(f'#!/bin/sh\n{stub}\n')
    python.chmod(0o755)
    env = dict(os.environ, PATH=f'{checkout / "bin"}:{os.environ["PATH"]}')
    script = checkout / 'tools' / 'setup_env.sh'
    return subprocess.run(['bash', script], env=env, capture_output=True, text=True)


def test_a_python_with_the_stack_is_used_as_it_is(checkout):
    result = run(checkout, f'exec {sys.executable} "$@"')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [sys.executable]
    assert not (checkout / '.venv').exists()


def test_an_unsupported_python_is_refused(checkout):
    stub = 'case "$*" in --version) echo Python 3.9.1;; esac; exit 1'
    result = run(checkout, stub)
    assert result.returncode == 1
    assert (
        'FAILED: Python 3.10 to 3.12 is needed, python3 is Python 3.9.1'
        in result.stderr
    )
    assert not (checkout / '.venv').exists()


# Answers the script's questions; pip installs by leaving a note, and fails for whatever
# the file "broken" names.
WORKING = """
case "$*" in
    *'import torch'*) [ -f "{notes}/ready" ] && [ "$0" != "{bin}" ]; exit;;
    *-m\\ venv*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit;;
    *pip\\ check*) touch "{notes}/ready"; exit;;
    *pip\\ install*|*pip\\ --*) echo "$*" >> "{notes}/log"
        case "$*" in *"$(cat {notes}/broken)"*) echo no such package; exit 1;; esac;;
esac
exit 0
"""


def test_a_failed_step_names_itself_and_a_rerun_goes_on(checkout):
    stub = WORKING.format(notes=checkout, bin=checkout / 'bin' / 'python3')
    (checkout / 'broken').write_text('torchvision')
    first = run(checkout, stub)
    assert first.returncode == 1
    assert first.stdout == ''
    assert "FAILED: step 'torch', see" in first.stderr
    assert 'setup-logs/torch.log' in first.stderr
    assert 'no such package' in first.stderr

    (checkout / 'broken').write_text('nothing')
    second = run(checkout, stub)
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines() == [str(checkout / '.venv' / 'bin' / 'python')]
    assert 'build-tools: done before' in second.stderr
    assert 'torch: done before' not in second.stderr
    installs = (checkout / 'log').read_text().splitlines()
    assert len(installs) == 5  # build tools, torch twice, the stack, the plugin

    # other requirements than those that were installed
    newer = (checkout / '.venv' / 'setup-logs' / 'plugin.done').stat().st_mtime + 10
    os.utime(checkout / 'constraints.txt', (newer, newer))
    third = run(checkout, stub)
    assert third.returncode == 0, third.stderr
    assert 'done before' not in third.stderr
