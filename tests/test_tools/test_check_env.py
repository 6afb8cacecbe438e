# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, load_module, run_tool


@pytest.fixture(scope='module')
def tool():
    return load_module(ROOT / 'tools' / 'check_env.py')


def test_here_everything_works():
    result = run_tool('check_env.py')
    assert 'everything works' in result.stdout
    assert 'CPNHead' in result.stdout
    assert 'fails' not in result.stdout


def test_a_broken_import_is_shown_with_its_true_error_and_what_mends_it(tmp_path):
    broken = tmp_path / 'xtcocotools'
    broken.mkdir()
    words = 'numpy.dtype size changed, may indicate binary incompatibility'
    (broken / '__init__.py').write_text(f'raise ValueError({words!r})\n')
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'check_env.py')],
        env=dict(os.environ, PYTHONPATH=f'{tmp_path}:{ROOT}'),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert f'ValueError: {words}' in result.stdout
    assert '--no-binary xtcocotools' in result.stdout
    assert str(broken / '__init__.py') in result.stdout
    assert 'everything works' not in result.stdout


def test_the_cause_of_an_error_is_looked_at(tool):
    def wrapped():
        try:
            raise ModuleNotFoundError("No module named 'pkg_resources'")
        except ModuleNotFoundError as error:
            raise RuntimeError('something else') from error

    problem = tool.attempt('import x', wrapped)
    assert problem.what == 'import x: RuntimeError: something else'
    assert problem.remedy == "pip install 'setuptools<81'"
    assert 'pkg_resources' in problem.error
    assert tool.attempt('nothing', lambda: None) is None
    unknown = tool.attempt('x', lambda: 1 / 0)
    assert 'not known here' in unknown.remedy
