# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, HOOKS

from tests.factories import quickstart_config, quickstart_model


@pytest.fixture(scope='module')
def model_and_batch(synthetic):
    dataset_cfg = quickstart_config('sstn_').val_dataloader.dataset
    dataset_cfg.data_root = str(synthetic)
    torch.manual_seed(0)
    dataset = DATASETS.build(dataset_cfg)
    batch = pseudo_collate([dataset[i] for i in range(3)])
    return quickstart_model('sstn_').eval(), batch


@pytest.mark.parametrize('wrap', [lambda net: net, torch.nn.DataParallel])
def test_draws_batches_of_validation_and_test_at_the_interval(model_and_batch, wrap):
    model, batch = model_and_batch
    shapes = {}

    def add_image(name, image, step):
        shapes[name, step] = image.shape

    runner = SimpleNamespace(
        model=wrap(model), visualizer=SimpleNamespace(add_image=add_image), epoch=3
    )
    hook = HOOKS.build(dict(type='StageVisualizationHook', interval=2, num=2))
    for batch_idx in range(3):
        hook.after_val_iter(runner, batch_idx, batch)
    hook.after_test_iter(runner, 0, batch)
    hook.after_train_iter(runner, 0, batch)
    names = ['stages_val_0', 'stages_val_2', 'stages_test_0']
    assert list(shapes) == [(name, 3) for name in names]
    # two crops with five images each
    assert set(shapes.values()) == {(24 + 2 * 320, 5 * 240, 3)}
    assert len(batch['inputs']) == 3


def test_raises_on_wrong_settings():
    with pytest.raises(ValueError, match='StageVisualizationHook.num must be .* got 0'):
        HOOKS.build(dict(type='StageVisualizationHook', num=0))
