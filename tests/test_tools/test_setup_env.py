# SPDX-License-Identifier: Apache-2.0
"""Decisions, failures and reruns of the setup script; pip is replaced by stubs."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture
def checkout(tmp_path):
    """A folder with the setup script and a ``bin`` for a stub ``python3``."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'bin').mkdir()
    shutil.copy(ROOT / 'tools' / 'setup_env.sh', tmp_path / 'tools')
    shutil.copy(ROOT / 'constraints.txt', tmp_path)
    return tmp_path


def run_setup(checkout, stub, *options, path=os.environ['PATH']):
    """Run the setup script with a shell script as ``python3``."""
    python = checkout / 'bin' / 'python3'
    python.write_text(f'#!/bin/sh\n{stub}\n')
    python.chmod(0o755)
    env = dict(os.environ, PATH=f'{checkout / "bin"}:{path}')
    command = [shutil.which('bash'), checkout / 'tools' / 'setup_env.sh', *options]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_uses_a_python_that_has_the_stack(checkout):
    result = run_setup(checkout, f'exec {sys.executable} "$@"')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [sys.executable]
    assert not (checkout / '.venv').exists()


def test_fails_on_unsupported_python(checkout):
    stub = 'case "$*" in --version) echo Python 3.9.1;; esac; exit 1'
    result = run_setup(checkout, stub)
    assert result.returncode == 1
    assert (
        'FAILED: Python 3.10 to 3.13 is required, python3 is Python 3.9.1'
        in result.stderr
    )
    assert not (checkout / '.venv').exists()


@pytest.mark.parametrize(
    'options, message',
    [
        (['--python'], '--python needs a value'),
        (['--python', 'python9.9'], 'python9.9 is not on PATH'),
        (['--fast'], 'unknown option --fast'),
    ],
)
def test_fails_on_wrong_options(checkout, options, message):
    result = run_setup(checkout, 'exit 1', *options)
    assert result.returncode == 1
    assert f'FAILED: {message}' in result.stderr


@pytest.mark.parametrize('option', ['--compiled', '--forks'])
def test_compiling_needs_a_compiler_before_anything_is_installed(checkout, option):
    stub = 'case "$*" in *"import torch"*) exit 1;; esac; exit 0'
    for name in ('dirname', 'sed'):
        (checkout / 'bin' / name).symlink_to(shutil.which(name))
    result = run_setup(checkout, stub, option, path='')
    assert result.returncode == 1
    assert 'FAILED: no C++ compiler on PATH' in result.stderr
    assert not (checkout / '.venv').exists()


# Stub for python3 and pip. Installs are written to the file "log", and an install of
# the package in the file "broken" fails.
STUB = """
case "$*" in
    *'import torch'*) [ -f "{folder}/ready" ] && [ "$0" != "{bin}" ]; exit;;
    *-m\\ venv*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit;;
    *pip\\ check*) touch "{folder}/ready"; exit;;
    *pip\\ install*|*pip\\ --*) echo "$*" >> "{folder}/log"
        case "$*" in *"$(cat {folder}/broken)"*) echo no such package; exit 1;; esac;;
esac
exit 0
"""


def test_logs_a_failed_step_and_a_rerun_continues_there(checkout):
    stub = STUB.format(folder=checkout, bin=checkout / 'bin' / 'python3')
    (checkout / 'broken').write_text('torchvision')
    first = run_setup(checkout, stub)
    assert first.returncode == 1
    assert first.stdout == ''
    assert "FAILED: step 'torch', see" in first.stderr
    assert 'setup-logs/torch.log' in first.stderr
    assert 'no such package' in first.stderr

    (checkout / 'broken').write_text('nothing')
    second = run_setup(checkout, stub)
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines() == [str(checkout / '.venv' / 'bin' / 'python')]
    assert 'build-tools: already done' in second.stderr
    assert 'torch: already done' not in second.stderr
    installs = (checkout / 'log').read_text().splitlines()
    # Build tools, torch twice, xtcocotools, the stack, the plugin.
    assert len(installs) == 6
    assert not any('mmcv==' in install or ' mmcv ' in install for install in installs)

    # After a change of the requirements all steps run again.
    newer = (checkout / '.venv' / 'setup-logs' / 'plugin.done').stat().st_mtime + 10
    os.utime(checkout / 'constraints.txt', (newer, newer))
    third = run_setup(checkout, stub)
    assert third.returncode == 0, third.stderr
    assert 'already done' not in third.stderr


def test_an_explicit_folder_is_used_even_if_python_has_the_stack(checkout):
    stub = STUB.format(folder=checkout, bin=checkout / 'bin' / 'python3')
    (checkout / 'broken').write_text('nothing')
    (checkout / 'ready').touch()
    result = run_setup(checkout, stub, '--venv', str(checkout / 'other'))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [str(checkout / 'other' / 'bin' / 'python')]
    assert not (checkout / '.venv').exists()
