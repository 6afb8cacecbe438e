# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from experiments.sstn_variants import (
    SSTN_VARIANTS,
    sstn_variant_config,
    train_sstn_variant,
)
from rmpe_plugin.utils.files import find_shipped


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """Checkpoint of an untrained model of stage 1."""
    torch.manual_seed(0)
    config = find_shipped('configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py')
    model = MODELS.build(Config.fromfile(config).model)
    path = tmp_path_factory.mktemp('stage1') / 'epoch_3.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def build(variant, stage1, folder, **cfg_options):
    return sstn_variant_config(variant, stage1, folder, cfg_options)


@pytest.mark.parametrize('variant', SSTN_VARIANTS)
def test_variants_continue_the_checkpoint(variant, stage1, tmp_path):
    config = build(variant, stage1, tmp_path, train_cfg=dict(max_epochs=7))
    assert config.load_from == str(stage1)
    assert config.train_cfg.max_epochs == 7
    model = MODELS.build(config.model)
    hooks = {hook.type for hook in config.custom_hooks}
    metrics = {metric.type for metric in config.val_evaluator}
    assert hasattr(model, 'stn') == (variant != 'no SSTN')
    assert ('WindowIoUMetric' in metrics) == (variant != 'no SSTN')
    assert ('ParallelSPPEHook' in hooks) == (variant == 'SSTN, parallel SPPE')
    has_window_loss = config.model.get('window_loss') is not None
    assert has_window_loss == (variant == 'SSTN, window loss')


def test_trainings_have_folders_of_their_own(stage1, tmp_path):
    configs = [build(variant, stage1, tmp_path) for variant in SSTN_VARIANTS]
    assert len({config.work_dir for config in configs}) == len(SSTN_VARIANTS)


@pytest.mark.parametrize('variant', ['no SSTN', 'SSTN, window loss'])
def test_trains_a_variant(variant, stage1, synthetic, tmp_path, unformatted_configs):
    annotations = synthetic / 'annotations'
    ann_file = str(annotations / 'person_keypoints_val.json')
    data = dict(batch_size=4, num_workers=0, persistent_workers=False)
    root = dict(dataset=dict(data_root=str(synthetic)))
    bbox_file = str(annotations / 'person_detections_val.json')
    config = build(
        variant,
        stage1,
        tmp_path,
        train_cfg=dict(max_epochs=1),
        train_dataloader=dict(data, **root),
        val_dataloader=dict(data, **root),
        test_dataloader=dict(
            data, dataset=dict(data_root=str(synthetic), bbox_file=bbox_file)
        ),
        **{'val_evaluator.0.ann_file': ann_file, 'test_evaluator.ann_file': ann_file},
    )
    results = train_sstn_variant(config)
    assert 0 <= results['detections'] <= 1
    assert 0 <= results['perturbed'] <= 1
    if variant == 'no SSTN':
        assert set(results) == {'detections', 'perturbed'}
    else:
        assert 0 < results['window/iou_crop'] < 1
        assert {'window/iou', 'window/gain'} <= set(results)
