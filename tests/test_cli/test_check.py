# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import pytest

from rmpe_plugin.cli.check import attempt
from tests.conftest import ROOT, run_command


def test_script_passes_in_this_environment():
    result = run_command('check')
    assert 'all checks passed' in result.stdout
    assert 'CPNHead' in result.stdout
    assert 'failed' not in result.stdout


@pytest.mark.slow
def test_script_shows_traceback_and_fix_of_a_broken_import(tmp_path):
    broken = tmp_path / 'xtcocotools'
    broken.mkdir()
    message = 'numpy.dtype size changed, may indicate binary incompatibility'
    (broken / '__init__.py').write_text(f'raise ValueError({message!r})\n')
    result = subprocess.run(
        [sys.executable, str(ROOT / 'rmpe.py'), 'check'],
        env=dict(os.environ, PYTHONPATH=f'{tmp_path}:{ROOT}'),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert f'ValueError: {message}' in result.stdout
    assert '--no-binary xtcocotools' in result.stdout
    assert str(broken / '__init__.py') in result.stdout
    assert 'all checks passed' not in result.stdout


def test_fix_is_found_for_the_cause_of_an_error():
    def raise_with_cause():
        try:
            raise ModuleNotFoundError("No module named 'pkg_resources'")
        except ModuleNotFoundError as error:
            raise RuntimeError('something else') from error

    problem = attempt('import x', raise_with_cause)
    assert problem.what == 'import x: RuntimeError: something else'
    assert problem.fix == "pip install 'setuptools<81'"
    assert 'pkg_resources' in problem.error


def test_attempt_without_a_problem_or_with_an_unknown_one():
    assert attempt('nothing', lambda: None) is None
    assert 'unknown' in attempt('x', lambda: 1 / 0).fix
