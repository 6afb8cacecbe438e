# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from mmengine.runner import Runner

from experiments import run_config
from tests.conftest import ROOT

CHILD = """
import time
from experiments.run_config import _exit_with_parent
_exit_with_parent()
print('ready', flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
os._exit(0)
"""


@pytest.fixture
def runs(monkeypatch):
    """Calls of the runner, and the configs that it was made from."""
    calls = []

    def from_cfg(config):
        calls.append(config)
        return SimpleNamespace(
            **{name: lambda name=name: calls.append(name) for name in _CALLS}
        )

    monkeypatch.setattr(Runner, 'from_cfg', from_cfg)
    return calls


_CALLS = ('train', 'val', 'test')
CONFIG = """
train_cfg = dict(max_epochs=3)
load_from = 'stage1.pth'
test_dataloader = dict(dataset=dict(bbox_file='boxes.json'))
test_evaluator = [dict(type='A', outfile_prefix='a'), dict(type='B')]
"""


def test_trains_from_the_checkpoint_of_the_config(runs, tmp_path):
    path = tmp_path / 'val.py'
    path.write_text(CONFIG)
    run_config.run_config(path, None)
    config, *calls = runs
    assert calls == ['train', 'val']
    assert config.train_cfg.val_begin == 4
    assert config.load_from == 'stage1.pth'
    assert not config.get('resume')
    assert config.work_dir == str(tmp_path)


@pytest.mark.parametrize('epoch', [2, 3])
def test_interrupted_training_continues(epoch, runs, tmp_path):
    """After the last epoch only the validation is missing."""
    path, checkpoint = tmp_path / 'val.py', tmp_path / f'epoch_{epoch}.pth'
    path.write_text(CONFIG)
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    run_config.run_config(path, None)
    config, *called = runs
    assert called == ['train', 'val']
    assert config.resume
    assert config.load_from == str(checkpoint)


def test_tests_on_every_box_set(runs, tmp_path):
    path = tmp_path / 'boxes.py'
    path.write_text(
        CONFIG
        + "box_sets = [dict(bbox_file=f'{x}.json', prefix=f'out/{x}') for x in 'xy']"
    )
    run_config.run_config(path, tmp_path / 'epoch_3.pth')
    configs, calls = runs[::2], runs[1::2]
    assert calls == ['test', 'test']
    for config, name in zip(configs, 'xy', strict=True):
        assert config.load_from == str(tmp_path / 'epoch_3.pth')
        assert config.test_dataloader.dataset.bbox_file == f'{name}.json'
        prefixes = {e.outfile_prefix for e in config.test_evaluator}
        assert prefixes == {f'out/{name}'}
    assert len({config.experiment_name for config in configs}) == 2


def test_process_ends_with_the_one_that_started_it():
    result = subprocess.run(
        [sys.executable, '-c', PARENT], cwd=ROOT, capture_output=True, check=True
    )
    process = int(result.stdout)
    deadline = time.monotonic() + 60
    while (
        psutil.pid_exists(process)
        and psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
