# SPDX-License-Identifier: Apache-2.0
"""Two and four processes train and test as one does at the same global batch."""

import json
import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.conftest import ROOT

CONFIG = ROOT / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
BATCH, PEOPLE, EPOCHS = 4, 12, 3
# What draws at random in each process, and with another generator in each.
RANDOM = ('RandomFlip', 'RandomBBoxTransform')


class Recorder(Hook):
    """Keeps batch norm's statistics as they are, and every loss of the global batch."""

    def __init__(self):
        self.losses = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        # Each process's batch norm would see a share of the batch.
        runner.model.eval()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, 'mean')
        self.losses.append(float(loss))


def make_config(synthetic, folder, processes):
    config = Config.fromfile(CONFIG)
    config.work_dir = str(folder)
    if processes > 1:
        config.launcher = 'pytorch'
        # MMEngine by itself puts each process on a CUDA device
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        )
    config.env_cfg.dist_cfg = dict(backend='gloo')
    truths = str(synthetic / 'annotations' / 'person_keypoints_val.json')
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{synthetic}/'
    train = config.train_dataloader
    train.batch_size = BATCH // processes
    train.dataset.indices = PEOPLE
    train.dataset.pipeline = [
        step for step in config.train_pipeline if step.type not in RANDOM
    ]
    # a number of people that no number of processes divides
    config.val_dataloader.dataset.indices = 7
    config.val_dataloader.batch_size = 2
    config.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    config.val_evaluator.update(ann_file=truths, outfile_prefix=f'{folder}/poses')
    config.optim_wrapper.optimizer = dict(type='SGD', lr=1e-4)
    config.optim_wrapper.paramwise_cfg = None
    return config


def train(rank, processes, port, synthetic, folder):
    """One of the processes; the first writes what all of them learnt."""
    torch.set_num_threads(1)
    if processes > 1:
        os.environ.update(
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
        )
        # MMEngine asks for a CUDA device, whatever the backend is
        torch.cuda.set_device = lambda device: None
    runner = Runner.from_cfg(make_config(synthetic, folder, processes))
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    assert get_world_size() == processes
    if rank == 0:
        found = dict(losses=recorder.losses, ap=_last_ap(runner))
        (folder / 'found.json').write_text(json.dumps(found))


def _last_ap(runner):
    return float(runner.message_hub.get_scalar('val/coco/AP').current())


def free_port():
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def run(processes, synthetic, folder):
    """Losses, AP and poses of a training by so many processes."""
    folder.mkdir()
    mp.spawn(train, (processes, free_port(), synthetic, folder), nprocs=processes)
    found = json.loads((folder / 'found.json').read_text())
    poses = json.loads((folder / 'poses.keypoints.json').read_text())
    return found['losses'], found['ap'], poses


@pytest.fixture(scope='module')
def alone(synthetic, tmp_path_factory):
    return run(1, synthetic, tmp_path_factory.mktemp('alone') / 'work')


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
def test_the_same_losses_and_everybody_is_counted_once(
    processes, alone, synthetic, tmp_path
):
    losses, ap, poses = run(processes, synthetic, tmp_path / 'work')
    expected, expected_ap, expected_poses = alone
    assert len(losses) == EPOCHS * PEOPLE // BATCH
    assert losses == pytest.approx(expected, rel=1e-4)
    # every epoch has the same people: they are learnt
    steps = PEOPLE // BATCH
    assert sum(losses[-steps:]) < sum(losses[:steps]) - 1
    assert ap == pytest.approx(expected_ap, abs=1e-6)
    assert len(poses) == len(expected_poses) == 7
    for pose, other in zip(poses, expected_poses, strict=True):
        assert pose['image_id'] == other['image_id']
        assert pose['keypoints'] == pytest.approx(other['keypoints'], abs=0.05)
