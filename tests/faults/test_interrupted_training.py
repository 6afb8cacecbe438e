# SPDX-License-Identifier: Apache-2.0
"""Training that is killed, runs out of disk space or loses a worker, then resumes."""

import json
import signal
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from tests.conftest import ROOT
from tests.faults.networks import make_narrow
from tests.processes import run_script

QUICKSTART = ROOT / 'configs' / 'quickstart'
STAGE1 = QUICKSTART / 'td-hm_cpn-res18_synthetic-128x96.py'
STAGE2 = QUICKSTART / 'td-hm_cpn-res18_sstn_synthetic-128x96.py'
KIBIBYTE = 2**10

pytestmark = pytest.mark.slow


def load_config(path):
    """A config with a narrow network."""
    config = Config.fromfile(path)
    make_narrow(config.model)
    return config


class Training:
    """A training of three epochs on a few images, with two workers."""

    def __init__(self, folder, synthetic, config, load_from=None):
        folder.mkdir()
        self.folder = folder
        self.config = config = load_config(config)
        ann_file = str(synthetic / 'annotations' / 'person_keypoints_val.json')
        for name in ('train', 'val', 'test'):
            loader = config[f'{name}_dataloader']
            loader.update(batch_size=4, num_workers=2)
            loader.dataset.update(data_root=f'{synthetic}/')
            loader.dataset.bbox_file = None
        for name in ('val_evaluator', 'test_evaluator'):
            evaluator = config[name]
            metric = evaluator[0] if isinstance(evaluator, list) else evaluator
            metric.ann_file = ann_file
            config[name] = metric
        config.train_cfg.update(max_epochs=3, val_interval=1)
        config.param_scheduler[-1].end = 3
        config.default_hooks.logger.interval = 1
        config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=1)
        config.custom_imports.imports.append('tests.faults.fault_injection')
        config.load_from = load_from
        if load_from:
            config.model.stn.backbone.init_cfg.checkpoint = load_from

    def run(self, *hooks, transform=None, resume=False):
        """Run tools/train.py with further hooks; return exit status and output."""
        config = self.config.copy()
        config.custom_hooks = [*config.custom_hooks, *hooks]
        if transform:
            config.train_dataloader.dataset.pipeline.append(transform)
        path = self.folder / 'config.py'
        config.dump(path)
        arguments = [path, '--work-dir', self.folder, *(['--resume'] if resume else [])]
        env = dict(OMP_NUM_THREADS='1')
        result = run_script(ROOT / 'tools' / 'train.py', *arguments, env=env)
        return result.returncode, result.stdout + result.stderr

    def losses(self):
        """The set of logged losses of each step."""
        losses = {}
        for path in sorted(self.folder.glob('*/vis_data/scalars.json')):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                if 'loss' in record:
                    losses.setdefault(record['step'], set()).add(record['loss'])
        return losses

    def last_epoch(self):
        """Epoch of the last checkpoint, which must be complete; 0 without one."""
        pointer = self.folder / 'last_checkpoint'
        if not pointer.exists():
            return 0
        path = Path(pointer.read_text())
        return torch.load(path, weights_only=False)['meta']['epoch']


class IterationTraining(Training):
    """A training of nine iterations, as of the config for Human3.6M."""

    def __init__(self, folder, synthetic):
        super().__init__(folder, synthetic, STAGE1)
        config = self.config
        config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=9, val_interval=9)
        sampler = dict(type='InfiniteSampler', shuffle=True)
        config.train_dataloader.sampler = sampler
        config.param_scheduler = []
        config.log_processor.by_epoch = False
        config.default_hooks.checkpoint.update(by_epoch=False, interval=3)
        config.default_hooks.checkpoint.pop('save_best')


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """An untrained checkpoint of stage 1."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('stage1') / 'epoch_3.pth'
    state_dict = MODELS.build(load_config(STAGE1).model).state_dict()
    torch.save(dict(state_dict=state_dict), path)
    return str(path)


@pytest.fixture(scope='module', params=['stage 1', 'stage 2'])
def make_training(request, synthetic, stage1):
    """Function that makes a training in a folder."""
    if request.param == 'stage 1':
        return lambda folder: Training(folder, synthetic, STAGE1)
    return lambda folder: Training(folder, synthetic, STAGE2, stage1)


@pytest.fixture(scope='module')
def expected_losses(make_training, tmp_path_factory):
    """The losses of a training without interruption."""
    training = make_training(tmp_path_factory.mktemp('uninterrupted') / 'work')
    status, output = training.run()
    assert status == 0, output[-3000:]
    losses = training.losses()
    assert len(losses) == max(losses) >= 9
    return losses


def test_training_killed_many_times_has_the_same_losses(
    make_training, expected_losses, tmp_path
):
    training = make_training(tmp_path / 'work')
    epoch = len(expected_losses) // 3
    # Three files are written for each epoch: the weights, last_checkpoint, and after
    # validation the best weights. Then MMEngine writes the first two again.
    faults = [
        (dict(type='KillBeforeIteration', iteration=1), 0),
        (dict(type='KillDuringWrite', call='fsync', number=0), 0),
        (dict(type='KillDuringWrite', call='replace', number=1), 0),
        (dict(type='KillBeforeIteration', iteration=epoch + 1), 1),
        (dict(type='KillDuringWrite', call='fsync', number=0), 1),
        (dict(type='KillDuringWrite', call='fsync', number=1), 1),
        (dict(type='KillBeforeIteration', iteration=3 * epoch - 1), 2),
    ]
    for fault, last_epoch in faults:
        # Without a checkpoint there is nothing to resume from.
        resume = (training.folder / 'last_checkpoint').exists()
        status, output = training.run(fault, resume=resume)
        assert status == -signal.SIGKILL, output[-3000:]
        assert training.last_epoch() == last_epoch
    status, output = training.run(resume=True)
    assert status == 0, output[-3000:]
    assert training.losses() == expected_losses
    assert training.last_epoch() == 3
    assert [path.name for path in training.folder.glob('epoch_*')] == ['epoch_3.pth']


def test_training_of_iterations_has_the_same_losses_after_a_kill(synthetic, tmp_path):
    uninterrupted = IterationTraining(tmp_path / 'uninterrupted', synthetic)
    training = IterationTraining(tmp_path / 'work', synthetic)
    status, output = uninterrupted.run()
    assert status == 0, output[-3000:]
    fault = dict(type='KillBeforeIteration', iteration=5)
    status, output = training.run(fault)
    assert status == -signal.SIGKILL, output[-3000:]
    status, output = training.run(resume=True)
    assert status == 0, output[-3000:]
    losses = training.losses()
    assert losses == uninterrupted.losses()
    assert len(losses) == 9


def test_full_disk_keeps_the_last_checkpoint(make_training, expected_losses, tmp_path):
    training = make_training(tmp_path / 'work')
    iteration = len(expected_losses) // 3 + 1
    full = dict(type='FillDisk', iteration=iteration, max_bytes=256 * KIBIBYTE)
    status, output = training.run(full)
    assert status == 1
    assert 'epoch_2.pth' in output.splitlines()[-1]
    assert 'OSError: [Errno' in output
    assert training.last_epoch() == 1
    assert not list(training.folder.glob('*.part'))
    status, output = training.run(resume=True)
    assert status == 0, output[-3000:]
    assert training.losses() == expected_losses


def test_killed_worker_is_reported_and_training_restarts(
    make_training, expected_losses, tmp_path
):
    training = make_training(tmp_path / 'work')
    fault = dict(type='KillWorkerOnce', marker=str(tmp_path / 'killed'))
    status, output = training.run(transform=fault)
    assert status == 1
    assert 'DataLoader worker (pid' in output
    status, output = training.run(transform=fault)
    assert status == 0, output[-3000:]
    assert training.losses() == expected_losses


def test_stage2_raises_if_there_is_nothing_to_resume(synthetic, stage1, tmp_path):
    training = Training(tmp_path / 'work', synthetic, STAGE2, stage1)
    status, output = training.run(resume=True)
    assert status == 1
    assert 'no checkpoint with a parallel SPPE was resumed' in output
