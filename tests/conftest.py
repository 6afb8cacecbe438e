# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.golden_weights import fill, image

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / 'tests' / 'data'

torch.set_num_threads(2)


@pytest.fixture(scope='session', autouse=True)
def mmpose_scope():
    """Resolve types in MMPose's registries, as a runner does."""
    from mmengine.registry import init_default_scope

    import rmpe_plugin  # noqa: F401

    init_default_scope('mmpose')


@pytest.fixture(scope='session')
def golden():
    """The folder of numbers from the reference implementations."""
    return DATA / 'golden'


@pytest.fixture(scope='session')
def golden_weights(golden):
    """The reference's state dict of CPN50, and the function that makes its input."""
    shapes = json.loads((golden / 'cpn_r50_state_shapes.json').read_text())
    filled = fill(shapes, seed=7)
    return {k: torch.from_numpy(v) for k, v in filled.items()}, image


@pytest.fixture(scope='session')
def coco_cc():
    """The folder of 16 freely licensed COCO photographs with their annotations."""
    return DATA / 'coco_cc'


@pytest.fixture(scope='session')
def synthetic(tmp_path_factory):
    """A small synthetic data set on disk."""
    from rmpe_plugin.datasets.synthetic import write_split

    root = tmp_path_factory.mktemp('synthetic_people')
    for split, number in (('train', 8), ('val', 4)):
        write_split(root, split, number, (320, 240), 'easy', seed=0)
    return root


def run_tool(name: str, *args, check: bool = True):
    """Run one of ``tools/`` as a user does."""
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, args)]
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if check and result.returncode:
        raise AssertionError(
            f'{command}\n{result.stdout[-3000:]}{result.stderr[-6000:]}'
        )
    return result
