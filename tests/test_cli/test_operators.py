# SPDX-License-Identifier: Apache-2.0
"""The command that adds modules to the environment, on a folder with small packages."""

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from shutil import rmtree

import pytest

from rmpe_plugin.cli import operators
from rmpe_plugin.cli.operators import MARK, MASKS, OPERATORS, InstallError, Module

FILES = {
    'mmcv/__init__.py': '',
    'mmcv/ops/__init__.py': 'from mmcv._ext import nms, unknown',
    'xtcocotools/__init__.py': '',
    'xtcocotools/mask.py': 'from xtcocotools._mask import iou',
    'pycocotools/__init__.py': '',
    'pycocotools/_mask.py': 'iou = 1',
    'rmpe_plugin/__init__.py': 'raise AssertionError("imported while mmcv is")',
    'rmpe_plugin/compat/__init__.py': '',
    'rmpe_plugin/compat/mmcv_ext.py': """
__all__ = ['nms', '__getattr__']
nms = 'ours'
def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return 'missing'
""",
}


@pytest.fixture
def packages(tmp_path):
    """A folder with small packages, the only ones besides the standard library."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(packages, *arguments):
    """Run the command as ``rmpe`` does, in a Python without site-packages."""
    code = f"import runpy; runpy.run_path({operators.__file__!r}, run_name='__main__')"
    return run_code(packages, code, *arguments)


def run_code(packages, code, *arguments):
    return subprocess.run(
        [sys.executable, '-S', '-c', code, *arguments],
        env=dict(os.environ, PYTHONPATH=str(packages)),
        cwd=packages,
        capture_output=True,
        text=True,
    )


def written(packages):
    """Files that the command, and nothing else, could have written."""
    paths = (packages / 'mmcv', packages / 'xtcocotools')
    files = {p.relative_to(packages) for path in paths for p in path.iterdir()}
    return {str(p) for p in files if p.name != '__pycache__'} - {
        'mmcv/__init__.py',
        'mmcv/ops',
        'xtcocotools/__init__.py',
        'xtcocotools/mask.py',
    }


BOTH = {'mmcv/_ext.py', 'xtcocotools/_mask.py'}


def test_writes_modules_that_can_be_imported(packages):
    result = run(packages)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        f'xtcocotools._mask: written, {packages}/xtcocotools/_mask.py',
        f'mmcv._ext: written, {packages}/mmcv/_ext.py',
    ]
    assert written(packages) == BOTH
    code = 'import mmcv.ops, xtcocotools.mask; print(mmcv.ops.nms, mmcv.ops.unknown)'
    assert run_code(packages, code).stdout == 'ours missing\n'


def test_second_run_changes_nothing(packages):
    run(packages)
    before = {name: (packages / name).stat() for name in BOTH}
    result = run(packages)
    assert result.returncode == 0
    assert result.stdout.count('already in place') == 2
    assert written(packages) == BOTH
    for name, stat in before.items():
        after = (packages / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_own_older_file_is_replaced(packages):
    path = packages / 'mmcv' / '_ext.py'
    path.write_text(f'{MARK}nms = "older"\n')
    result = run(packages)
    assert f'mmcv._ext: written, {path}' in result.stdout
    assert path.read_text() == OPERATORS.text


@pytest.mark.parametrize('arguments', [(), ('--remove',)])
def test_file_of_somebody_else_is_not_changed(packages, arguments):
    path = packages / 'mmcv' / '_ext.py'
    path.write_text('nms = "theirs"\n')
    result = run(packages, *arguments)
    assert path.read_text() == 'nms = "theirs"\n'
    if arguments:
        assert result.returncode == 0
        assert 'mmcv._ext: no file of rmpe_plugin' in result.stdout
    else:
        assert result.returncode == 2
        assert f'error: {path} exists and is not from rmpe_plugin' in result.stderr


@pytest.mark.parametrize('suffix', EXTENSION_SUFFIXES)
def test_compiled_module_is_not_replaced(packages, suffix):
    path = packages / 'mmcv' / f'_ext{suffix}'
    path.write_bytes(b'compiled')
    result = run(packages)
    assert result.returncode == 0
    assert f'mmcv._ext: compiled, {path}' in result.stdout
    assert written(packages) == {f'mmcv/_ext{suffix}', 'xtcocotools/_mask.py'}
    assert path.read_bytes() == b'compiled'


@pytest.mark.parametrize('arguments', [(), ('--remove',)])
@pytest.mark.parametrize('package', ['mmcv', 'xtcocotools'])
def test_raises_on_missing_package(packages, package, arguments):
    rmtree(packages / package)
    result = run(packages, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f'error: {package} is not installed in ')
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize('part', ['mmcv/ops', 'xtcocotools/mask.py'])
def test_raises_on_other_version_of_a_package(packages, part):
    path = packages / part
    path.rename(packages / 'elsewhere')
    result = run(packages)
    assert result.returncode == 2
    package = part.split('/')[0]
    assert f'{packages / package} has no {path.stem}' in result.stderr
    assert f'this version of {package} is not supported' in result.stderr
    assert f'{package}/_' not in ''.join(written(packages))


@pytest.mark.parametrize(
    'error',
    [
        "ModuleNotFoundError: No module named 'torchvision'",
        'RuntimeError: operator torchvision::nms does not exist',
        "AttributeError: partially initialized module 'torchvision'",
        'OSError: libcudart.so.13: cannot open shared object file',
    ],
    ids=lambda error: error.split(':')[0],
)
@pytest.mark.parametrize(
    'before', [None, f'{MARK}nms = "older"\n'], ids=['new', 'older']
)
def test_failing_import_is_undone(packages, error, before):
    name, message = error.split(': ', 1)
    broken = packages / 'rmpe_plugin' / 'compat' / 'mmcv_ext.py'
    broken.write_text(f'raise {name}({message!r})\n')
    path = packages / 'mmcv' / '_ext.py'
    if before:
        path.write_text(before)
    result = run(packages)
    assert result.returncode == 2
    assert f'mmcv.ops cannot be imported with {path}' in result.stderr
    assert error in result.stderr
    assert 'Traceback' not in result.stderr
    assert written(packages) == (BOTH if before else BOTH - {'mmcv/_ext.py'})
    if before:
        assert path.read_text() == before


def test_remove(packages):
    run(packages)
    result = run(packages, '--remove')
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        f'xtcocotools._mask: removed, {packages}/xtcocotools/_mask.py',
        f'mmcv._ext: removed, {packages}/mmcv/_ext.py',
    ]
    assert written(packages) == set()
    result = run(packages, '--remove')
    assert result.returncode == 0
    assert result.stdout.count('no file of rmpe_plugin') == 2


def test_written_module_without_plugin(packages):
    run(packages)
    rmtree(packages / 'rmpe_plugin')
    result = run_code(packages, 'import mmcv.ops')
    message = f'ImportError: {packages}/mmcv/_ext.py needs rmpe_plugin: install it, or'
    assert message in result.stderr


# --- in this process, with failing file operations ------------------------------------


@pytest.fixture
def module(packages, monkeypatch):
    """A package that is not installed twice in one process."""
    name = f'package_{packages.name}'.replace('-', '_')
    folder = packages / name
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    (folder / 'ops.py').write_text('')
    monkeypatch.syspath_prepend(packages)
    return Module(f'{name}._ext', f'{name}.ops', f'{MARK}x = 1\n'), folder / '_ext.py'


@pytest.mark.parametrize('operation', ['write_text', 'replace'])
@pytest.mark.parametrize('before', [None, f'{MARK}x = 0\n'], ids=['new', 'older'])
def test_raises_on_folder_without_permission(module, operation, before, monkeypatch):
    module, path = module
    if before:
        path.write_text(before)

    def fail(*args):
        raise PermissionError(13, 'Permission denied')

    files = sorted(path.parent.iterdir())
    monkeypatch.setattr(Path, operation, fail)
    with pytest.raises(InstallError, match=f'{path} cannot be written: .*Permission'):
        operators.install(module)
    assert sorted(path.parent.iterdir()) == files
    assert not before or path.read_text() == before


def test_raises_on_file_that_cannot_be_deleted(module, monkeypatch):
    module, path = module
    assert operators.install(module) == f'{module.name}: written, {path}'

    def fail(*args):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(Path, 'unlink', fail)
    with pytest.raises(InstallError, match=f'{path} cannot be deleted: .*Permission'):
        operators.remove(module)


# --- this environment -----------------------------------------------------------------


@pytest.mark.parametrize('module', [OPERATORS, MASKS], ids=lambda m: m.name)
def test_module_of_this_environment_is_compiled_or_ours(module):
    path = operators.find_path(module)
    compiled = operators.find_compiled(path)
    loaded = Path(sys.modules[module.name].__file__)
    assert loaded == (compiled or path)
    assert compiled or path.read_text() == module.text, 'run rmpe operators'
