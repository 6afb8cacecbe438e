# SPDX-License-Identifier: Apache-2.0
"""The order of the packages, read from the imports of all modules."""

import ast
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: A package imports packages of its own floor and of the floors listed before it. The
#: module ``rmpe_plugin`` itself is ``__init__``.
FLOORS = (
    ('ops', 'compat', 'version'),
    ('structures', 'utils'),
    # fmt: off
    (
        'models',
        'codecs',
        'datasets',
        'engine',
        'evaluation',
        'visualization',
        'diagnosis',
    ),
    # fmt: on
    ('inference',),
    ('tracking',),
    ('apis', 'deploy', 'fitting', 'lifting'),
    ('jobs', 'web'),
    ('cli', '__init__'),
    ('experiments', 'tools'),
)
FLOOR = {package: i for i, floor in enumerate(FLOORS) for package in floor}
OURS = ('rmpe_plugin', 'experiments', 'tools', 'tests')
#: All that these packages import besides themselves and the standard library.
LIBRARIES = dict(
    ops={'numpy', 'scipy', 'sklearn', 'torch'}, compat={'numpy', 'torch', 'torchvision'}
)


def modules():
    """Files of all modules, without the tests of the experiments."""
    for folder in ('rmpe_plugin', 'experiments', 'tools'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            if 'tests' not in path.relative_to(ROOT).parts:
                yield path.relative_to(ROOT)


def imported_names(path):
    """Absolute names that a module imports anywhere, also for type checkers."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.parts[: len(path.parts) - node.level] if node.level else ()
            module = [node.module] if node.module else []
            yield from ('.'.join([*parents, *module, a.name]) for a in node.names)


def package_of(name):
    """The package of a module's name; for other libraries their own name."""
    first, *rest = name.split('.')
    if first != 'rmpe_plugin':
        return first
    second = rest[0] if rest else ''
    found = any((ROOT / first / f'{second}{end}').exists() for end in ('', '.py'))
    return second if second and found else '__init__'


@pytest.fixture(scope='module')
def imports():
    """(importing package, imported package) -> files."""
    found = defaultdict(set)
    for path in modules():
        package = package_of('.'.join(path.with_suffix('').parts))
        for name in imported_names(path):
            if package_of(name) != package:
                found[package, package_of(name)].add(str(path))
    return found


def test_every_package_has_a_floor(imports):
    assert {package for package, _ in imports} <= FLOOR.keys()


def test_arrows_point_down(imports):
    ours = FLOOR.keys() | set(OURS)
    wrong = {
        f'{a} imports {b}': sorted(files)
        for (a, b), files in imports.items()
        if b in ours and FLOOR.get(b, len(FLOORS)) > FLOOR[a]
    }
    assert not wrong


def test_packages_do_not_import_each_other_in_a_circle(imports):
    graph = defaultdict(set)
    for a, b in imports:
        graph[a].add(b)
    assert [*TopologicalSorter(graph).static_order()]


@pytest.mark.parametrize('package', LIBRARIES)
def test_libraries(imports, package):
    names = {b for a, b in imports if a == package}
    assert names - sys.stdlib_module_names <= LIBRARIES[package]


def test_reads_relative_absolute_and_type_checking_imports(tmp_path, monkeypatch):
    monkeypatch.setattr('tests.test_architecture.ROOT', tmp_path)
    path = Path('rmpe_plugin/models/heads/a.py')
    (tmp_path / path.parent).mkdir(parents=True)
    (tmp_path / 'rmpe_plugin/codecs').mkdir()
    (tmp_path / path).write_text(
        'import numpy as np\n'
        'from ...codecs import crop\n'
        'from .b import c\n'
        'if TYPE_CHECKING:\n'
        '    from rmpe_plugin import codecs, __version__\n'
    )
    names = [*imported_names(path)]
    assert names == [
        'numpy',
        'rmpe_plugin.codecs.crop',
        'rmpe_plugin.models.heads.b.c',
        'rmpe_plugin.codecs',
        'rmpe_plugin.__version__',
    ]
    assert [*map(package_of, names)] == [
        'numpy', 'codecs', 'models', 'codecs', '__init__'
    ]  # fmt: skip
