# SPDX-License-Identifier: Apache-2.0
"""Crowds, single samples and long runs."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

from rmpe_plugin.apis import RMPEInferencer
from rmpe_plugin.datasets.synthetic_people import DIFFICULTIES, render_scene
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from tests.conftest import ROOT
from tests.test_apis.conftest import CPN, save_untrained
from tests.test_models.test_cpn_head import samples

QUICKSTART = ROOT / 'configs' / 'quickstart'
MEBIBYTE = 2**20


@pytest.mark.parametrize('preset', ['rmpe-paper', 'rmpe-mpii', 'alphapose-coco'])
def test_three_thousand_poses_in_one_image(preset):
    """Three hundred people who stand apart, each found ten times."""
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(np.arange(20), np.arange(15)), axis=-1)
    people = 500.0 * place.reshape(-1, 1, 2) + rng.uniform(0, 100, (300, 17, 2))
    poses = np.repeat(people, 10, axis=0) + rng.normal(0, 0.1, (3000, 17, 2))
    scores = rng.uniform(0.5, 1, (3000, 17))
    boxes = np.concatenate((poses.min(axis=1), poses.max(axis=1)), axis=1)
    result = parametric_pose_nms(poses, scores, boxes, PoseNMSParams.preset(preset))
    assert sorted(np.asarray(result.keep) // 10) == list(range(300))


def test_a_thousand_people_in_one_picture():
    crowd = replace(DIFFICULTIES['crowd'], people=(1000, 1000), height=(0.05, 0.1))
    image, people = render_scene(np.random.default_rng(0), (640, 480), crowd)
    assert image.shape == (480, 640, 3)
    assert 100 < len(people) <= 1000
    assert all(person.visible >= 0.1 and person.area >= 60 for person in people)


@pytest.mark.parametrize('name', ['cpn', 'sstn'])
def test_a_last_batch_of_one_trains_with_batch_norm(name):
    init_default_scope('mmpose')
    middle = '' if name == 'cpn' else '_sstn'
    config = Config.fromfile(
        QUICKSTART / f'td-hm_cpn-res18{middle}_synthetic-128x96.py'
    )
    if name == 'sstn':
        config.model.stn.backbone.init_cfg = None
    net = MODELS.build(config.model)
    if name == 'sstn':
        net.fill_parallel()
    (sample,) = batch = samples(1)
    (sample.centred,) = samples(1)
    losses = net.train()(torch.randn(1, 3, 128, 96), batch, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert torch.isfinite(total)
    for key, parameter in net.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key


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
    loader.dataset.update(data_root=f'{synthetic}/', indices=4)
    loader.dataset = dict(type='RepeatDataset', times=1000, dataset=loader.dataset)
    loader.update(batch_size=2, num_workers=0)
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
    # one float32 crop kept a step would be 140 MiB and more
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
