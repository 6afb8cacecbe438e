# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, HOOKS, MODELS

from tests.conftest import ROOT

CONFIG = ROOT / 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'


@pytest.fixture(scope='module')
def model_and_batch(synthetic):
    config = Config.fromfile(CONFIG)
    config.model.stn.backbone.init_cfg = None
    config.val_dataloader.dataset.data_root = str(synthetic)
    torch.manual_seed(0)
    dataset = DATASETS.build(config.val_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(3)])
    return MODELS.build(config.model).eval(), batch


@pytest.mark.parametrize('wrap', [lambda net: net, torch.nn.DataParallel])
def test_draws_every_so_many_batches_of_validation_and_test(model_and_batch, wrap):
    model, batch = model_and_batch
    drawn = {}

    def add_image(name, image, step):
        drawn[name, step] = image.shape

    runner = SimpleNamespace(
        model=wrap(model), visualizer=SimpleNamespace(add_image=add_image), epoch=3
    )
    hook = HOOKS.build(dict(type='StageVisualizationHook', interval=2, num=2))
    for batch_idx in range(3):
        hook.after_val_iter(runner, batch_idx, batch)
    hook.after_test_iter(runner, 0, batch)
    hook.after_train_iter(runner, 0, batch)
    names = ['stages_val_0', 'stages_val_2', 'stages_test_0']
    assert list(drawn) == [(name, 3) for name in names]
    # two people, five pictures each
    assert set(drawn.values()) == {(24 + 2 * 320, 5 * 240, 3)}
    assert len(batch['inputs']) == 3


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match='StageVisualizationHook.num must be .* got 0'):
        HOOKS.build(dict(type='StageVisualizationHook', num=0))
