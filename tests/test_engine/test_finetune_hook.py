# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning on the joints of Human3.6M with the published config."""

import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpose.registry import HOOKS, MODELS

import rmpe_plugin.engine.hooks.finetune_hook as module
from rmpe_plugin.datasets.synthetic import write_videos
from tests.conftest import ROOT, run_command
from tests.factories import build_sstn

CONFIG = ROOT / 'configs/cpn/h36m/td-hm_cpn-res50_ft-1xb32-12k_h36m-384x288.py'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Synthetic people in the layout of Human3.6M, as images."""
    root = tmp_path_factory.mktemp('h36m')
    for video in write_videos(root, dict(train=1, test=1), 3, (160, 120)):
        capture = cv2.VideoCapture(str(video))
        for i in range(1, 4):
            _, image = capture.read()
            path = root / 'images' / f'{video.stem}_{i:06d}.jpg'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image)
    for split in ('train', 'test'):
        run_command(
            'convert h36m',
            root / f'annotation_body3d/h36m_{split}.npz',
            root / 'annotation_body3d/cameras.pkl',
            '--out', root / f'annotations/h36m_coco_{split}.json',
        )  # fmt: skip
    return root


def small_config(data, work_dir, checkpoint):
    """The config with ResNet-18 at the same resolution and two iterations."""
    config = Config.fromfile(CONFIG)
    config.model.backbone.depth = 18
    config.model.head.in_channels = [64, 128, 256, 512]
    config.train_cfg.update(max_iters=2, val_interval=2)
    config.work_dir = str(work_dir)
    config.custom_hooks[0].checkpoint = str(checkpoint)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data)
    config.default_hooks.logger.interval = 1
    return config


@pytest.fixture(scope='module')
def checkpoint(data, tmp_path_factory):
    """A model of the same network, as if trained on COCO."""
    path = tmp_path_factory.mktemp('coco') / 'coco.pth'
    torch.manual_seed(7)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(small_config(data, path.parent, path).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def test_published_config_trains_and_lists_what_was_kept(
    data, checkpoint, tmp_path, monkeypatch
):
    logged = []
    monkeypatch.setattr(module, 'print_log', lambda text, logger: logged.append(text))
    config = small_config(data, tmp_path, checkpoint)
    runner = Runner.from_cfg(config)
    kept = {}

    class Keep(module.Hook):
        priority = 'VERY_LOW'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if batch_idx == 0:
                state = runner.model.state_dict()
                kept.update({k: v.cpu().clone() for k, v in state.items()})

    runner.register_hook(Keep())
    runner.train()
    saved = torch.load(checkpoint)['state_dict']
    new = {k for k, v in saved.items() if v.ndim > 1 and not torch.equal(v, kept[k])}
    expressions = config.custom_hooks[0].reinitialize
    assert new == {
        name
        for name, value in saved.items()
        if value.ndim > 1 and any(re.match(e, name) for e in expressions)
    }
    assert len(new) == 5  # four levels of GlobalNet, and RefineNet
    assert 'start anew' in logged[0]
    assert all(name in logged[0] for name in new)
    assert (tmp_path / 'iter_2.pth').is_file()
    for name in ('val/PCK', 'val/EPE'):
        assert np.isfinite(runner.message_hub.get_scalar(name).current())


def test_schedule_is_the_published_one():
    config = Config.fromfile(CONFIG)
    assert config.train_dataloader.batch_size == 32
    assert config.optim_wrapper.optimizer.lr == 5e-5
    (schedule,) = config.param_scheduler
    assert schedule.milestones == [6000, 10000]
    assert schedule.gamma == 0.1
    assert config.train_cfg.max_iters == 12000


def hook(checkpoint, *reinitialize):
    return module.FinetuneHook(str(checkpoint), reinitialize)


class FakeRunner:
    iter = 0

    def __init__(self, model):
        self.model = model
        self._hooks = []


def test_errors(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    path = tmp_path / 'a.pth'
    torch.save(model.state_dict(), path)
    runner = FakeRunner(model)
    with pytest.raises(ValueError, match="'2' fits no parameter of the model"):
        hook(path, '2').before_train(runner)
    torch.save({'0.weight': torch.zeros(3, 2)}, path)
    with pytest.raises(ValueError, match=r'lacks 1 of .*0.bias'):
        hook(path, '1').before_train(runner)
    torch.save({'0.weight': torch.zeros(5, 2), '0.bias': torch.zeros(3)}, path)
    with pytest.raises(ValueError, match='does not fit the model'):
        hook(path, '1').before_train(runner)
    with pytest.raises(FileNotFoundError):
        hook(tmp_path / 'b.pth', '1').before_train(runner)


def test_resumed_training_is_not_changed(tmp_path):
    model = torch.nn.Linear(2, 3)
    runner = FakeRunner(model)
    runner.iter = 5
    hook(tmp_path / 'missing.pth', 'weight').before_train(runner)


@pytest.mark.parametrize('finetune_first', [True, False])
def test_weights_are_loaded_before_the_parallel_sppe_copies_them(
    finetune_first, tmp_path
):
    sstn, _ = build_sstn('cpn', parallel=dict())
    state = {k: torch.full_like(v, 3) for k, v in sstn.state_dict().items()}
    torch.save(state, tmp_path / 'stage1.pth')
    hooks = [
        hook(tmp_path / 'stage1.pth', r'stn\.fc'),
        HOOKS.build(dict(type='ParallelSPPEHook')),
    ]
    runner = FakeRunner(sstn)
    runner._resume = False
    for registered in hooks if finetune_first else hooks[::-1]:
        Runner.register_hook(runner, registered)
    Runner.call_hook(runner, 'before_train')
    assert (sstn.parallel_sppe.backbone.conv1.weight == 3).all()
