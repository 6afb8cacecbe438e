# SPDX-License-Identifier: Apache-2.0
"""Memory over two thousand training steps and over two thousand pictures."""

import os
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rmpe_plugin.apis import RMPEInferencer
from tests.test_apis.conftest import CPN, save_untrained

MEBIBYTE = 2**20


def resident():
    """Memory of this process that is in use now, MiB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / MEBIBYTE


needs_statm = pytest.mark.skipif(
    not Path('/proc/self/statm').exists(), reason='there is no /proc/self/statm here'
)


class Memory(Hook):
    """Notes the memory in use, every hundred steps."""

    def __init__(self):
        self.used = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx % 100 == 99:
            self.used.append(resident())


@needs_statm
@pytest.mark.slow
def test_two_thousand_training_steps_need_no_more_memory(synthetic, tmp_path):
    config = Config.fromfile(CPN)
    config.work_dir = str(tmp_path)
    loader = config.train_dataloader
    loader.dataset.update(data_root=f'{synthetic}/', indices=2)
    loader.dataset = dict(type='RepeatDataset', times=1000, dataset=loader.dataset)
    loader.update(batch_size=1, num_workers=0)
    config.model.backbone.update(base_channels=8, stem_channels=8)
    config.model.head.update(in_channels=[8, 16, 32, 64], feat_channels=16)
    config.train_cfg = dict(by_epoch=True, max_epochs=1)
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg = config.test_dataloader = config.test_evaluator = None
    config.default_hooks.checkpoint.save_best = None
    runner, memory = Runner.from_cfg(config), Memory()
    runner.register_hook(memory)
    runner.train()
    assert len(memory.used) == 20
    # one crop of bytes kept a step would be 55 MiB
    assert max(memory.used[-5:]) - max(memory.used[:5]) < 32, memory.used


@needs_statm
@pytest.mark.slow
def test_two_thousand_pictures_need_no_more_memory(tmp_path):
    checkpoint = save_untrained(CPN, tmp_path / 'cpn.pth', 'mmpose')
    inferencer = RMPEInferencer(CPN, checkpoint, 'whole_image', device='cpu')
    picture = np.zeros((96, 128, 3), np.uint8)
    used = []
    for i, posed in enumerate(inferencer([picture] * 2000)):
        assert len(posed.poses.pred_instances) == 1
        if i % 100 == 99:
            used.append(resident())
    assert len(used) == 20
    assert max(used[-5:]) - max(used[:5]) < 32, used
