# SPDX-License-Identifier: Apache-2.0
"""Every config builds a model and trains it one step on its own pipeline."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, METRICS, MODELS

from rmpe_plugin.ops import PoseNMSParams
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / 'configs').glob('*/**/td-hm_*.py'))
# Each of these is another network; the others change a loss, a number or the test.
TRAINED = [
    c
    for c in CONFIGS
    if ('res50' not in c.name and 'pose-nms' not in c.name)
    or any(
        word in c.name for word in ('res50_8xb32', 'tf-form', 'masked', 'only', 'none')
    )
]


def load(path):
    config = Config.fromfile(path)
    config.model.backbone.init_cfg = None
    return config


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_builds_and_says_what_it_is(path):
    config = load(path)
    assert config.custom_imports.imports == ['rmpe_plugin']
    assert config.custom_imports.allow_failed_imports is False
    width, height = config.codec[0]['input_size']
    assert f'{height}x{width}' in path.name
    assert config.model.head.decoder == config.codec[-1]
    for loader, pipeline in (
        ('train_dataloader', config.train_pipeline),
        ('val_dataloader', config.val_pipeline),
        ('test_dataloader', config.val_pipeline),
    ):
        assert config[loader].dataset.pipeline == pipeline
        sizes = [t.input_size for t in pipeline if t.type == 'TopdownAffine']
        assert sizes == [config.codec[0]['input_size']]
    for t in config.train_pipeline:
        if t.type == 'GenerateTarget':
            assert t.encoder == config.codec
    net = MODELS.build(config.model)
    assert net.head.decoder.kernel_size == config.codec[-1]['kernel_size']


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_one_training_step(path, synthetic):
    config = load(path)
    config.train_dataloader.dataset.update(
        data_root=str(synthetic),
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'),
    )
    dataset = DATASETS.build(config.train_dataloader.dataset)
    torch.manual_seed(0)
    net = MODELS.build(config.model)
    batch = net.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    losses = net(**batch, mode='loss')
    total, _ = net.parse_losses(losses)
    total.backward()
    trained = {name: p.grad for name, p in net.named_parameters() if p.requires_grad}
    assert [name for name, grad in trained.items() if grad is None] == []
    assert torch.isfinite(total)


@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_kernels_are_the_published_ones(size):
    name = f'td-hm_cpn-res50_8xb32-160e_coco-{size}.py'
    codec = load(ROOT / 'configs' / 'cpn' / 'coco' / name).codec
    kernels = [c['kernel_size'] for c in codec]
    assert (
        kernels == {'256x192': [7, 9, 11, 15, 7], '384x288': [9, 13, 17, 23, 9]}[size]
    )
    assert [c['hidden'] for c in codec] == ['empty'] * 4 + ['keep']


POSE_NMS = [c for c in CONFIGS if 'pose-nms' in c.name and 'coco' in c.name]


@pytest.mark.parametrize('path', POSE_NMS, ids=lambda p: p.stem)
def test_pose_nms_changes_the_metric_alone(path, synthetic):
    config = load(path)
    plain = load(path.with_name(path.name.replace('pose-nms-', '')))
    assert config.test_dataloader.dataset.bbox_file is not None
    truths = synthetic / 'annotations' / 'person_keypoints_val.json'
    for evaluator in ('val_evaluator', 'test_evaluator'):
        metric = METRICS.build(dict(config[evaluator], ann_file=str(truths)))
        assert metric.pose_nms == PoseNMSParams.preset('rmpe-paper')
        config[evaluator] = plain[evaluator]
    assert config.to_dict() == plain.to_dict()


def test_there_is_pose_nms_for_every_network():
    networks = [c.name for c in CONFIGS if 'coco' in c.name and '_8xb32' in c.name]
    wanted = [name.replace('_8xb32', '_pose-nms-8xb32') for name in networks]
    assert sorted(wanted) == sorted(c.name for c in POSE_NMS)


def test_ablations_change_one_thing():
    for path in CONFIGS:
        if path.parent.name == 'ablation':
            lines = [x for x in path.read_text().splitlines() if x.strip()]
            assert len(lines) <= 14, path.name
            assert lines[1].startswith('# ')


def test_user_config_inherits_ours_by_path(tmp_path):
    path = tmp_path / 'mine.py'
    base = CONFIGS[-1]
    change = 'model = dict(head=dict(loss=dict(topk=5)))'
    path.write_text(f'_base_ = {json.dumps(str(base))}\n{change}\n')
    assert Config.fromfile(path).model.head.loss.topk == 5
