# SPDX-License-Identifier: Apache-2.0
"""Run code in new processes that need not import the OpenMMLab stack again.

Python's fork server imports the stack once. Each process is forked from it, which saves
the several seconds that the imports take.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch.multiprocessing

ROOT = Path(__file__).resolve().parents[1]

_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload(
    [
        'mmdet.apis',
        'mmpose.apis',
        'rmpe_plugin.apis',
        'rich.table',
        'tests.unformatted_configs',
    ]
)


def run_script(path, *args, env=None):
    """Run a Python script in a new process with the project root as working directory.

    Args:
        path (str | Path): The script, or the name of a module.
        args: Its arguments, converted to strings.
        env (dict, optional): Changes of the environment variables.

    Returns:
        subprocess.CompletedProcess: Exit status (negative for a signal) and output.
    """
    command = [str(path), *map(str, args)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), **(env or {})}
    with TemporaryDirectory() as folder:
        outputs = Path(folder, 'stdout'), Path(folder, 'stderr')
        process = _CONTEXT.Process(
            target=_run_as_main, args=(command, environment, outputs)
        )
        process.start()
        process.join()
        stdout, stderr = (path.read_text() for path in outputs)
    return subprocess.CompletedProcess(command, process.exitcode, stdout, stderr)


def start_processes(function, args, number):
    """Call a function in several processes at the same time.

    Args:
        function (Callable): Function of the rank and ``args``. It must be importable.
        args (tuple): Its other arguments.
        number (int): Number of processes.

    Raises:
        torch.multiprocessing.ProcessException: If a process fails.
    """
    torch.multiprocessing.start_processes(
        function, args, number, start_method='forkserver'
    )


def _run_as_main(command, environment, outputs):
    for stream, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    if Path(command[0]).is_file():
        sys.path.insert(0, str(Path(command[0]).parent))
        runpy.run_path(command[0], run_name='__main__')
    else:
        sys.path.insert(0, str(ROOT))
        runpy.run_module(command[0], run_name='__main__', alter_sys=True)
