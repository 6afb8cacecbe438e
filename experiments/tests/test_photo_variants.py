# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmpose.registry import MODELS

from experiments.photo_variants import (
    PHOTO_VARIANTS,
    photo_variant_config,
    train_photo_variant,
)
from tests.factories import use_synthetic_people


def build(variant, folder, seed=0, **cfg_options):
    return photo_variant_config(variant, seed, 3, folder, cfg_options)


@pytest.mark.parametrize('variant', PHOTO_VARIANTS)
def test_variants_differ_as_named(variant, tmp_path):
    config = build(variant, tmp_path, seed=5)
    assert config.randomness.seed == 5
    assert config.train_cfg.max_epochs == config.param_scheduler[-1].end == 3
    assert (config.load_from is None) == (variant == 'without MoveNet')
    assert config.model.head.loss.topk == (8 if variant == 'M = 8' else 17)
    model = MODELS.build(config.model)
    assert (model.head.refine_net is None) == (variant == 'GlobalNet')
    assert model.with_neck == (variant != 'without its pyramid')
    with torch.no_grad():
        model.head(model.extract_feat(torch.zeros(1, 3, 256, 192)))


def test_trainings_have_folders_of_their_own(tmp_path):
    folders = {
        build(variant, tmp_path, seed).work_dir
        for variant in PHOTO_VARIANTS
        for seed in (0, 1)
    }
    assert len(folders) == 2 * len(PHOTO_VARIANTS)


def test_trains_a_variant(synthetic, tmp_path, unformatted_configs):
    config = build('without MoveNet', tmp_path)
    config.train_dataloader.batch_size = 4
    for loader in ('train_dataloader', 'val_dataloader'):
        use_synthetic_people(config[loader].dataset, synthetic)
    config.val_evaluator[1].ann_file = config.val_dataloader.dataset.ann_file
    config.train_cfg.max_epochs = 1
    metrics = train_photo_variant(config)
    assert {'torso/PCK', 'torso/ankle', 'coco/AP', 'coco/AP .5'} <= metrics.keys()
    assert all(0 <= value <= 1 for value in metrics.values())
