# SPDX-License-Identifier: Apache-2.0
"""The command ``rmpe``: its list of commands, its errors, and the scripts in tools."""

import ast
import subprocess
import sys

import pytest

import rmpe
from rmpe_plugin.cli._exit_status import exit_status
from tests.conftest import ROOT

GROUPS = dict(convert='cpn mpii lsp h36m', synthesize='images videos')
HEAVY = """
import sys
import rmpe
sys.argv[1:] = {arguments}
status = rmpe.main()
print([name for name in ('torch', 'numpy', 'mmengine', 'rmpe_plugin') if name in
       sys.modules])
"""


def run(monkeypatch, capsys, *arguments):
    """Exit status, output and errors of ``rmpe`` with these arguments."""
    monkeypatch.setattr(sys, 'argv', ['rmpe', *arguments])
    return rmpe.main(), *capsys.readouterr()


@pytest.mark.parametrize('arguments', [[], ['--help'], ['convert'], ['predit']])
def test_list_of_commands_and_errors_import_nothing(arguments):
    code = HEAVY.format(arguments=arguments)
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1] == '[]', result.stderr


def test_lists_all_commands(monkeypatch, capsys):
    status, output, _ = run(monkeypatch, capsys)
    assert status == 0
    names = 'predict detect train test export export-detector fit-pgpg tune-nms'
    more = 'diagnose boxes new export-lifting web check models operators'
    for name in f'{names} {more}'.split():
        assert f'\n  {name} ' in output
    for group, members in GROUPS.items():
        for member in members.split():
            assert f'\n  {group} {member} ' in output


def test_lists_the_commands_of_a_group(monkeypatch, capsys):
    status, output, _ = run(monkeypatch, capsys, 'convert', '--help')
    assert status == 0
    assert '\n  convert mpii ' in output
    assert 'predict ' not in output.partition('example')[0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['predit', 'a.jpg'], "unknown command 'predit a.jpg'; similar: predict;"),
        (['convert', 'mpi'], "unknown command 'convert mpi'; similar: convert mpii;"),
        (['--fast'], "unknown command '--fast'; rmpe --help lists all"),
    ],
)
def test_fails_on_unknown_commands(monkeypatch, capsys, arguments, message):
    status, output, error = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert not output
    assert message in error


@pytest.mark.parametrize('name', sorted(rmpe.find_commands()))
def test_help_has_an_example_of_the_command(name):
    text = ast.get_docstring(ast.parse(rmpe.find_commands()[name].read_text()))
    assert f'Example:\n    rmpe {name}' in text


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'tools').rglob('*.py')), ids=lambda p: p.stem
)
def test_scripts_only_call_commands(path):
    text = path.read_text()
    assert len(text.splitlines()) < 20
    (name,) = (line.split('``')[1] for line in text.splitlines() if '``rmpe' in line)
    module = rmpe.find_commands()[name.removeprefix('rmpe ')]
    parts = module.relative_to(ROOT / 'rmpe_plugin' / 'cli').with_suffix('').parts
    assert f'rmpe_plugin.cli.{".".join(parts)} import main' in text or name.endswith(
        ' check'
    )


@pytest.mark.parametrize(
    ('result', 'status'), [(None, 0), (False, 0), (True, 1), (3, 1)]
)
def test_exit_status_is_1_if_some_inputs_failed(result, status):
    assert exit_status(lambda: result)() == status


def test_errors_are_one_line_with_the_name_of_the_command(monkeypatch, capsys):
    @exit_status
    def main():
        raise ValueError('a.jpg is empty')

    monkeypatch.setattr(sys, 'argv', ['rmpe predict'])
    assert main() == 2
    assert capsys.readouterr().err == 'rmpe predict: error: a.jpg is empty\n'


def test_unexpected_errors_are_raised():
    with pytest.raises(ZeroDivisionError):
        exit_status(lambda: 1 / 0)()
