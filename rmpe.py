# SPDX-License-Identifier: Apache-2.0
"""Poses of all people in images and videos, with CPN and RMPE, for MMPose.

This is the command ``rmpe``. It is a module beside the package, because ``import
rmpe_plugin`` imports the OpenMMLab stack, which the list of commands does not need.
"""

import ast
import difflib
import runpy
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# They repair or describe an environment in which `import rmpe_plugin` may fail.
WITHOUT_IMPORT = ('check', 'operators')
USAGE = """usage: rmpe COMMAND [arguments]
       rmpe COMMAND --help

{summary}

{commands}

example: rmpe predict photo.jpg --whole-image --out poses
"""


def find_commands() -> dict[str, Path]:
    """Find the modules of all commands.

    Returns:
        dict[str, Path]: File of each command. A command of a group has two words, such
        as ``'convert mpii'``.
    """
    (package,) = find_spec('rmpe_plugin').submodule_search_locations
    folder = Path(package) / 'cli'
    return {
        ' '.join(path.relative_to(folder).with_suffix('').parts).replace('_', '-'): path
        for path in sorted(folder.rglob('*.py'))
        if not path.name.startswith('_')
    }


def usage(commands: dict[str, Path]) -> str:
    """Text of ``rmpe --help``.

    Args:
        commands (dict[str, Path]): Files of the commands, see :func:`find_commands`.

    Returns:
        str: All commands with the first line of their docstrings.
    """
    width = max(map(len, commands))
    lines = (f'  {name:{width}}  {_summary(path)}' for name, path in commands.items())
    return USAGE.format(summary=_summary(Path(__file__)), commands='\n'.join(lines))


def main() -> int:
    """Run the command that the arguments name.

    Returns:
        int: Exit status: 0; 1 if something failed for some of the inputs; 2 for an
        error, which a message describes.
    """
    commands, arguments = find_commands(), sys.argv[1:]
    if arguments in ([], ['-h'], ['--help']):
        print(usage(commands), end='')
        return 0
    if arguments == ['--version']:
        print(version('rmpe_plugin'))
        return 0
    for number in (1, 2):
        name = ' '.join(arguments[:number])
        if name in commands:
            return _run(name, commands[name], arguments[number:])
    group = {n: p for n, p in commands.items() if n.startswith(f'{arguments[0]} ')}
    if group and arguments[1:] in ([], ['-h'], ['--help']):
        print(usage(group), end='')
        return 0
    similar = difflib.get_close_matches(name, commands, n=1)
    print(
        f'rmpe: error: unknown command {" ".join(arguments[:2])!r}; '
        + (f'similar: {similar[0]}; ' if similar else '')
        + 'rmpe --help lists all',
        file=sys.stderr,
    )
    return 2


def _run(name: str, path: Path, arguments: list[str]) -> int | None:
    """Run a command with its name and arguments in ``sys.argv``."""
    sys.argv = [f'rmpe {name}', *arguments]
    if name in WITHOUT_IMPORT:
        runpy.run_path(str(path), run_name='__main__')
    module = name.replace(' ', '.').replace('-', '_')
    return import_module(f'rmpe_plugin.cli.{module}').main()


def _summary(path: Path) -> str:
    """First line of the docstring of a module, which is not imported."""
    return ast.get_docstring(ast.parse(path.read_bytes())).partition('\n')[0]


if __name__ == '__main__':
    sys.exit(main())
