# SPDX-License-Identifier: Apache-2.0
"""Two and four processes train and test like one with the same global batch size."""

import json
import os
import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rmpe_plugin.utils.model import unwrap_model
from tests.conftest import ROOT
from tests.faults.networks import make_narrow
from tests.processes import start_processes

CONFIG = ROOT / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
BATCH, PEOPLE, EPOCHS = 4, 12, 3
# Random transforms, for which each process has another generator.
RANDOM = ('RandomFlip', 'RandomBBoxTransform')


class LossRecorder(Hook):
    """Record the loss of each global batch, with fixed batch norm statistics."""

    def __init__(self):
        self.losses = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        # In training mode batch norm would use the process's part of the batch.
        runner.model.eval()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, 'mean')
        self.losses.append(float(loss))


def make_config(synthetic, folder, processes):
    config = Config.fromfile(CONFIG)
    make_narrow(config.model)
    config.work_dir = str(folder)
    if processes > 1:
        config.launcher = 'pytorch'
        # By default MMEngine puts each process on a CUDA device.
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
        )
    config.env_cfg.dist_cfg = dict(backend='gloo')
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{synthetic}/'
    train_loader = config.train_dataloader
    train_loader.batch_size = BATCH // processes
    train_loader.dataset.indices = PEOPLE
    train_loader.dataset.pipeline = [
        step for step in config.train_pipeline if step.type not in RANDOM
    ]
    # Neither 2 nor 4 divides the number of people.
    config.val_dataloader.dataset.indices = 7
    config.val_dataloader.batch_size = 2
    config.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    ann_file = str(synthetic / 'annotations' / 'person_keypoints_val.json')
    config.val_evaluator.update(ann_file=ann_file, outfile_prefix=f'{folder}/poses')
    config.param_scheduler = []  # no warmup
    config.optim_wrapper.type = 'OptimWrapper'  # no bfloat16
    config.optim_wrapper.optimizer = dict(type='SGD', lr=1e-2)
    config.optim_wrapper.paramwise_cfg = None
    return config


def to_float64(module, inputs):
    return tuple(tensor.double() for tensor in inputs)


def train(rank, processes, port, synthetic, folder):
    """Train in one of the processes; the first one writes the losses and the AP."""
    torch.set_num_threads(1)
    if processes > 1:
        os.environ.update(
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
        )
        # MMEngine sets a CUDA device for every backend.
        torch.cuda.set_device = lambda device: None
    # A wrong gradient changes the losses less than float32 rounds them.
    torch.set_default_dtype(torch.float64)
    runner = Runner.from_cfg(make_config(synthetic, folder, processes))
    model = unwrap_model(runner.model)
    for module in (model.backbone, model.head.global_loss, model.head.loss_module):
        module.register_forward_pre_hook(to_float64)
    recorder = LossRecorder()
    runner.register_hook(recorder)
    runner.train()
    assert get_world_size() == processes
    if rank == 0:
        ap = float(runner.message_hub.get_scalar('val/coco/AP').current())
        result = dict(losses=recorder.losses, ap=ap)
        (folder / 'result.json').write_text(json.dumps(result))


def find_free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def train_with(processes, synthetic, folder):
    """Losses, AP and poses of a training with several processes."""
    folder.mkdir()
    start_processes(train, (processes, find_free_port(), synthetic, folder), processes)
    result = json.loads((folder / 'result.json').read_text())
    poses = json.loads((folder / 'poses.keypoints.json').read_text())
    return result['losses'], result['ap'], poses


@pytest.fixture(scope='module')
def single(synthetic, tmp_path_factory):
    return train_with(1, synthetic, tmp_path_factory.mktemp('single') / 'work')


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
def test_same_losses_and_each_person_is_evaluated_once(
    processes, single, synthetic, tmp_path
):
    losses, ap, poses = train_with(processes, synthetic, tmp_path / 'work')
    expected, expected_ap, expected_poses = single
    assert len(losses) == EPOCHS * PEOPLE // BATCH
    assert losses == pytest.approx(expected, rel=1e-9)
    # Each epoch has the same people, so the loss decreases.
    steps = PEOPLE // BATCH
    assert sum(losses[-steps:]) < sum(losses[:steps]) - 1
    assert ap == pytest.approx(expected_ap, abs=1e-6)
    assert len(poses) == len(expected_poses) == 7
    for pose, other in zip(poses, expected_poses, strict=True):
        assert pose['image_id'] == other['image_id']
        assert pose['keypoints'] == pytest.approx(other['keypoints'], abs=0.05)
