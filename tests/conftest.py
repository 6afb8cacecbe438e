# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures."""

import json
import os

import pytest
import torch

import tests.unformatted_configs  # noqa: F401
from tests.golden_weights import fill, image
from tests.processes import ROOT, run_script

DATA = ROOT / 'tests' / 'data'

torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 2)))


@pytest.fixture(scope='session', autouse=True)
def mmpose_scope():
    """Resolve config types in MMPose's registries, as a runner does."""
    from mmengine.registry import init_default_scope

    import rmpe_plugin  # noqa: F401

    init_default_scope('mmpose')


@pytest.fixture(scope='session', autouse=True)
def rmpe_cache(tmp_path_factory):
    """Keep cached ONNX files out of the user's folder, also in subprocesses."""
    os.environ['RMPE_CACHE'] = str(tmp_path_factory.getbasetemp() / 'rmpe_cache')


@pytest.fixture(scope='session')
def golden():
    """Folder with the numbers of the reference implementations."""
    return DATA / 'golden'


@pytest.fixture(scope='session')
def golden_weights(golden):
    """State dict of the reference CPN50, and the function that makes its input."""
    shapes = json.loads((golden / 'cpn_r50_state_shapes.json').read_text())
    filled = fill(shapes, seed=7)
    return {k: torch.from_numpy(v) for k, v in filled.items()}, image


@pytest.fixture(scope='session')
def coco_cc():
    """Folder with 16 freely licensed COCO photographs and their annotations."""
    return DATA / 'coco_cc'


@pytest.fixture(scope='session')
def synthetic(tmp_path_factory):
    """Folder with a small synthetic data set."""
    from rmpe_plugin.datasets.synthetic import write_split

    root = tmp_path_factory.mktemp('synthetic_people')
    for split, number in (('train', 8), ('val', 4)):
        write_split(root, split, number, (320, 240), 'easy', seed=0)
    return root


def run_command(name: str, *args, check: bool = True):
    """Run a command of ``rmpe`` in a new process.

    Args:
        name (str): The command, such as ``'predict'`` or ``'convert mpii'``.
        args: Its arguments.
        check (bool): Whether to raise if the exit status is not 0.

    Returns:
        subprocess.CompletedProcess: Exit status and output.
    """
    return _run(ROOT / 'rmpe.py', *name.split(), *args, check=check)


def run_experiment(name: str, *args, check: bool = True):
    """Run a program of ``experiments`` in a new process, see :func:`run_command`."""
    return _run(f'experiments.{name}', *args, check=check)


def _run(program, *args, check):
    result = run_script(program, *args)
    if check and result.returncode:
        raise AssertionError(
            f'{result.args}\n{result.stdout[-3000:]}{result.stderr[-6000:]}'
        )
    return result
