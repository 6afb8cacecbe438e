# SPDX-License-Identifier: Apache-2.0
"""Trainings that are killed, run out of disk or lose a worker, and are resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from tests.conftest import ROOT

QUICKSTART = ROOT / 'configs' / 'quickstart'
STAGE1 = QUICKSTART / 'td-hm_cpn-res18_synthetic-128x96.py'
STAGE2 = QUICKSTART / 'td-hm_cpn-res18_sstn_synthetic-128x96.py'
MEBIBYTE = 2**20


class Training:
    """A training of three epochs on a few images, with two workers."""

    def __init__(self, folder, synthetic, config, load_from=None):
        folder.mkdir()
        self.folder = folder
        self.config = config = Config.fromfile(config)
        truths = str(synthetic / 'annotations' / 'person_keypoints_val.json')
        for name in ('train', 'val', 'test'):
            loader = config[f'{name}_dataloader']
            loader.update(batch_size=4, num_workers=2)
            loader.dataset.update(data_root=f'{synthetic}/')
            loader.dataset.bbox_file = None
        for name in ('val_evaluator', 'test_evaluator'):
            found = config[name]
            metric = found[0] if isinstance(found, list) else found
            metric.ann_file = truths
            config[name] = metric
        config.train_cfg.update(max_epochs=3, val_interval=1)
        config.param_scheduler[-1].end = 3
        config.default_hooks.logger.interval = 1
        config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=1)
        config.custom_imports.imports.append('tests.faults.accidents')
        config.load_from = load_from
        if load_from:
            config.model.stn.backbone.init_cfg.checkpoint = load_from

    def run(self, *hooks, transform=None, resume=False):
        """Run tools/train.py with accidents; its exit status and what it printed."""
        config = self.config.copy()
        config.custom_hooks = [*config.custom_hooks, *hooks]
        if transform:
            config.train_dataloader.dataset.pipeline.append(transform)
        path = self.folder / 'config.py'
        config.dump(path)
        command = [sys.executable, ROOT / 'tools' / 'train.py', path]
        command += ['--work-dir', self.folder, *(['--resume'] if resume else [])]
        env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    def losses(self):
        """Every loss that was logged, for each step the values that it had."""
        found = {}
        for path in sorted(self.folder.glob('*/vis_data/scalars.json')):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                if 'loss' in record:
                    found.setdefault(record['step'], set()).add(record['loss'])
        return found

    def last(self):
        """Number of the last checkpoint, which must be whole; 0 if there is none."""
        pointer = self.folder / 'last_checkpoint'
        if not pointer.exists():
            return 0
        path = Path(pointer.read_text())
        return torch.load(path, weights_only=False)['meta']['epoch']


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """A checkpoint of stage 1, not trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('stage1') / 'epoch_3.pth'
    state = MODELS.build(Config.fromfile(STAGE1).model).state_dict()
    torch.save(dict(state_dict=state), path)
    return str(path)


@pytest.fixture(scope='module', params=['stage 1', 'stage 2'])
def start(request, synthetic, stage1):
    """How a training is made."""
    if request.param == 'stage 1':
        return lambda folder: Training(folder, synthetic, STAGE1)
    return lambda folder: Training(folder, synthetic, STAGE2, stage1)


@pytest.fixture(scope='module')
def unbroken(start, tmp_path_factory):
    """The losses of a training that nothing happened to."""
    training = start(tmp_path_factory.mktemp('unbroken') / 'work')
    status, printed = training.run()
    assert status == 0, printed[-3000:]
    losses = training.losses()
    assert len(losses) == max(losses) >= 9
    return losses


@pytest.mark.slow
def test_killed_again_and_again_it_learns_the_same(start, unbroken, tmp_path):
    training = start(tmp_path / 'work')
    epoch = len(unbroken) // 3
    # Each checkpoint is three files to write: the weights, last_checkpoint, and after
    # validation the best, when the first two are written again.
    accidents = [
        (dict(type='KilledAt', iteration=1), 0),
        (dict(type='KilledInSave', call='fsync', number=0), 0),
        (dict(type='KilledInSave', call='replace', number=1), 0),
        (dict(type='KilledAt', iteration=epoch + 1), 1),
        (dict(type='KilledInSave', call='fsync', number=0), 1),
        (dict(type='KilledInSave', call='fsync', number=1), 1),
        (dict(type='KilledAt', iteration=3 * epoch - 1), 2),
    ]
    for accident, last in accidents:
        # before there is a checkpoint there is nothing to resume
        resume = (training.folder / 'last_checkpoint').exists()
        status, printed = training.run(accident, resume=resume)
        assert status == -signal.SIGKILL, printed[-3000:]
        assert training.last() == last
    status, printed = training.run(resume=True)
    assert status == 0, printed[-3000:]
    assert training.losses() == unbroken
    assert training.last() == 3
    assert [path.name for path in training.folder.glob('epoch_*')] == ['epoch_3.pth']


@pytest.mark.slow
def test_on_a_full_disk_the_last_checkpoint_stays(start, unbroken, tmp_path):
    training = start(tmp_path / 'work')
    iteration = len(unbroken) // 3 + 1
    full = dict(type='DiskFull', iteration=iteration, most=MEBIBYTE)
    status, printed = training.run(full)
    assert status == 1
    assert 'epoch_2.pth' in printed.splitlines()[-1]
    assert 'OSError: [Errno' in printed
    assert training.last() == 1
    assert not list(training.folder.glob('*.part'))
    status, printed = training.run(resume=True)
    assert status == 0, printed[-3000:]
    assert training.losses() == unbroken


@pytest.mark.slow
def test_a_dead_worker_is_named_and_training_resumes(start, unbroken, tmp_path):
    training = start(tmp_path / 'work')
    dies = dict(type='WorkerDies', marker=str(tmp_path / 'dead'))
    status, printed = training.run(transform=dies)
    assert status == 1
    assert 'DataLoader worker (pid' in printed
    status, printed = training.run(transform=dies)
    assert status == 0, printed[-3000:]
    assert training.losses() == unbroken


@pytest.mark.slow
def test_nothing_to_resume_is_no_new_start_of_stage_2(synthetic, stage1, tmp_path):
    training = Training(tmp_path / 'work', synthetic, STAGE2, stage1)
    status, printed = training.run(resume=True)
    assert status == 1
    assert 'no checkpoint with a parallel SPPE was resumed' in printed
