# SPDX-License-Identifier: Apache-2.0
"""Memory during two thousand training steps and inference on two thousand images."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rmpe_plugin.apis import RMPEInferencer
from tests.faults.networks import make_narrow
from tests.test_apis.conftest import CPN, save_untrained

MEBIBYTE = 2**20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path('/proc/self/statm').exists(), reason='needs /proc/self/statm'
    ),
]


def resident_memory():
    """Resident memory of this process in MiB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / MEBIBYTE


@pytest.fixture(autouse=True)
def one_thread():
    """More threads do not make small networks faster."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def config(tmp_path):
    """File of a config with a narrow network."""
    config = Config.fromfile(CPN)
    make_narrow(config.model)
    config.dump(tmp_path / 'cpn.py')
    return tmp_path / 'cpn.py'


class MemoryRecorder(Hook):
    """Record the resident memory after every hundred steps."""

    def __init__(self):
        self.memory = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx % 100 == 99:
            self.memory.append(resident_memory())


def test_training_has_no_memory_leak(config, synthetic, tmp_path):
    config = Config.fromfile(config)
    config.work_dir = str(tmp_path)
    loader = config.train_dataloader
    loader.dataset.update(data_root=f'{synthetic}/', indices=2)
    loader.dataset = dict(type='RepeatDataset', times=1000, dataset=loader.dataset)
    loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    # One group of parameters instead of one for each parameter is faster.
    config.optim_wrapper.paramwise_cfg = None
    config.optim_wrapper.optimizer.foreach = True
    config.train_cfg = dict(by_epoch=True, max_epochs=1)
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg = config.test_dataloader = config.test_evaluator = None
    config.default_hooks.checkpoint.save_best = None
    runner, recorder = Runner.from_cfg(config), MemoryRecorder()
    runner.register_hook(recorder)
    runner.train()
    memory = recorder.memory
    assert len(memory) == 20
    # A leak of one uint8 crop per step would add 55 MiB.
    assert max(memory[-5:]) - max(memory[:5]) < 32, memory


def test_inference_has_no_memory_leak(config, tmp_path):
    checkpoint = save_untrained(config, tmp_path / 'cpn.pth', 'mmpose')
    inferencer = RMPEInferencer(
        config, checkpoint, 'whole_image', device='cpu', pose_nms=None
    )
    image = np.zeros((96, 128, 3), np.uint8)
    memory = []
    for i, result in enumerate(inferencer([image] * 2000)):
        assert len(result.poses.pred_instances) == 1
        if i % 100 == 99:
            memory.append(resident_memory())
    assert len(memory) == 20
    assert max(memory[-5:]) - max(memory[:5]) < 32, memory
