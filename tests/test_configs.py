# SPDX-License-Identifier: Apache-2.0
"""Each config builds its model, and each network runs one training step."""

import json
import re
from argparse import ArgumentParser

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, METRICS, MODELS, TRANSFORMS

from rmpe_plugin.datasets.transforms import check_sstn_pipeline
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.ops.rmpe.pose_nms_params import DEFAULT_PRESET
from tests.conftest import ROOT
from tests.factories import use_synthetic_people

CONFIGS = sorted((ROOT / 'configs').glob('*/**/td-hm_*.py'))
PGPG = 'td-hm_cpn-res50_pgpg-8xb32-160e_coco-256x192.py'
# One config for each network; the others differ in a loss, a number or testing.
# Networks whose training step takes seconds.
LARGE = ('hourglass', 'hrnet', 'res101', 'convnext', 'stage2')
TRAINED = [
    c
    for c in CONFIGS
    if all(word not in c.name for word in ('res50', 'pose-nms', 'pgpg', 'stage1'))
    or any(
        word in c.name
        for word in ('res50_8xb32', 'tf-form', 'masked', 'only', 'none', 'stage2-')
    )
    or c.name == PGPG
]


def remove_scope(value):
    """Remove the keys that MMEngine adds when a config inherits from mmpose::."""
    if isinstance(value, dict):
        value.pop('_scope_', None)
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            remove_scope(inner)


def load(path):
    config = Config.fromfile(path)
    remove_scope(config._cfg_dict)
    config.model.backbone.init_cfg = None
    if 'stn' in config.model and 'backbone' in config.model.stn:
        config.model.stn.backbone.init_cfg = None
    return config


def codecs(config):
    return config.codec if isinstance(config.codec, list) else [config.codec]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_is_consistent_and_builds(path):
    config = load(path)
    assert config.custom_imports.imports == ['rmpe_plugin']
    assert config.custom_imports.allow_failed_imports is False
    width, height = codecs(config)[0]['input_size']
    assert f'{height}x{width}' in path.name
    decoder = dict(config.model.head.decoder)
    # changes scores only
    decoder.pop('calibration', None)
    assert decoder == codecs(config)[-1]
    for loader, pipeline in (
        ('train_dataloader', config.train_pipeline),
        ('val_dataloader', config.val_pipeline),
        ('test_dataloader', config.get('test_pipeline', config.val_pipeline)),
    ):
        assert config[loader].dataset.pipeline == pipeline
        sizes = [t.input_size for t in pipeline if t.type == 'TopdownAffine']
        assert sizes == [codecs(config)[0]['input_size']]
    for t in config.train_pipeline:
        if t.type in ('GenerateTarget', 'GenerateSSTNTarget'):
            assert t.encoder == config.codec
    MODELS.build(config.model)


ALL = [c for c in sorted((ROOT / 'configs').rglob('*.py')) if '_base_' not in c.parts]


@pytest.mark.parametrize('path', ALL, ids=lambda p: p.stem)
def test_batch_size_of_the_learning_rate(path):
    """Samples per GPU times GPUs, which the name has as 8xb32.

    Without it, the learning rate is for one process, but for 8 GPUs in MMDetection.
    """
    config = Config.fromfile(path)
    batch_size = config.train_dataloader.batch_size
    default = 8 if path.parent == ROOT / 'configs' / 'detection' / 'coco' else 1
    gpus, named = re.search(
        r'(\d+)xb(\d+)', path.name + f' {default}xb{batch_size}'
    ).groups()
    assert batch_size == int(named)
    assert config.auto_scale_lr.base_batch_size == int(gpus) * batch_size
    # Only --auto-scale-lr enables it.
    assert not config.auto_scale_lr.get('enable', False)


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path, marks=[pytest.mark.slow] * any(x in path.stem for x in LARGE)
        )
        for path in TRAINED
    ],
    ids=lambda path: path.stem,
)
def test_one_training_step(path, synthetic):
    config = load(path)
    use_synthetic_people(config.train_dataloader.dataset, synthetic)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    torch.manual_seed(0)
    net = MODELS.build(config.model)
    if config.model.get('parallel') is not None:
        net.init_parallel_sppe()
    batch = net.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    losses = net(**batch, mode='loss')
    total, _ = net.parse_losses(losses)
    total.backward()
    trained = {name: p.grad for name, p in net.named_parameters() if p.requires_grad}
    unused = [name for name, grad in trained.items() if grad is None]
    # MMPose's Hourglass has a block between stacks even with a single stack.
    assert all(config.get('find_unused_parameters') and 'inters' in x for x in unused)
    assert torch.isfinite(total)


# The example of the documentation: stage 1 of a config of MMPose, and stage 2.
SSTN_EXAMPLE = re.findall(
    r'```python\n(_base_ = .*?)```', (ROOT / 'docs' / 'sstn.md').read_text(), re.DOTALL
)
SSTN_HOOKS = ['SSTNPipelineHook', 'ParallelSPPEHook']
HEATMAPS = 'body_2d_keypoint/topdown_heatmap/coco/td-hm'


def load_sstn_example(base, folder):
    """Stage 2 of a config of MMPose, as the documentation writes it."""
    stage1, stage2 = SSTN_EXAMPLE
    stage1 = re.sub(r"'mmpose::[^,]*,", f"'mmpose::{base}',", stage1)
    assert base in stage1
    (folder / 'mine.py').write_text(stage1)
    (folder / 'stage2.py').write_text(stage2)
    return load(folder / 'stage2.py')


def shrink(value, side):
    """Set all sizes in a config to those of a square input."""
    strides = dict(input_size=1, heatmap_size=4, in_featuremap_size=32)
    for key in value if isinstance(value, dict) else range(len(value)):
        if key in strides:
            value[key] = (side // strides[key],) * 2
        elif isinstance(value[key], (dict, list)):
            shrink(value[key], side)


@pytest.mark.parametrize(
    'base',
    [
        f'{HEATMAPS}_res50_8xb64-210e_coco-256x192.py',
        'body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py',
        *(
            pytest.param(base, marks=pytest.mark.slow)
            for base in (
                f'{HEATMAPS}_hrnet-w32_8xb64-210e_coco-256x192.py',
                f'{HEATMAPS}_hrnet-w32_udp-8xb64-210e_coco-256x192.py',
                f'{HEATMAPS}_hourglass52_8xb32-210e_coco-256x256.py',
                'body_2d_keypoint/topdown_regression/coco/'
                'td-reg_res50_rle-8xb64-210e_coco-256x192.py',
            )
        ),
    ],
    ids=lambda base: base.rpartition('/')[-1].partition('_8xb')[0],
)
def test_stage_2_of_the_documentation_trains_configs_of_mmpose(
    base, synthetic, tmp_path
):
    config = load_sstn_example(base, tmp_path)
    dataset = config.train_dataloader.dataset
    use_synthetic_people(dataset, synthetic)
    # optional packages, and sizes that take seconds
    dataset.pipeline = [t for t in dataset.pipeline if t.type != 'Albumentation']
    shrink(config._cfg_dict, 128)
    dataset = DATASETS.build(dataset)
    check_sstn_pipeline(dataset.pipeline.transforms)
    net = MODELS.build(config.model)
    net.init_parallel_sppe()
    assert [hook.type for hook in config.custom_hooks][1:] == SSTN_HOOKS
    batch = net.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    before = net.stn.fc.bias.clone()
    losses = net(**batch, mode='loss')
    assert any(name.startswith('parallel.') for name in losses)
    net.parse_losses(losses)[0].backward()
    optimizer.step()
    assert (net.stn.fc.bias != before).any()
    assert all(p.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize('size', ['256x192', '384x288'])
def test_kernels_are_those_of_the_paper(size):
    name = f'td-hm_cpn-res50_8xb32-160e_coco-{size}.py'
    codec = load(ROOT / 'configs' / 'cpn' / 'coco' / name).codec
    kernels = [c['kernel_size'] for c in codec]
    assert (
        kernels == {'256x192': [7, 9, 11, 15, 7], '384x288': [9, 13, 17, 23, 9]}[size]
    )
    assert [c['occluded'] for c in codec] == ['empty'] * 4 + ['keep']


RMPE = sorted((ROOT / 'configs' / 'rmpe' / 'coco').glob('*.py'))
MPII = sorted((ROOT / 'configs' / 'rmpe' / 'mpii').glob('*.py'))
STAGE2 = [c for c in RMPE + MPII if 'stage2' in c.name]

CPN = 'td-hm_cpn-res50_8xb32-160e_coco-256x192.py'
STAGE1_OF_CPN = 'td-hm_cpn-res50_rmpe-stage1-8xb32-160e_coco-256x192.py'

# What configs/cpn/README.md says to change for a test and for the ablations.
OPTIONS = re.findall(
    r'`((?:model|test_evaluator)\.[\w.]+=[^`]+)`',
    (ROOT / 'configs' / 'cpn' / 'README.md').read_text(),
)


def test_readme_lists_the_ablations_by_options():
    assert sum('topk' in option for option in OPTIONS) == 5
    assert sum('num_bottlenecks' in option for option in OPTIONS) == 5


@pytest.mark.parametrize('option', OPTIONS)
def test_option_of_the_readme_changes_one_value(option, synthetic):
    config, plain = (load(ROOT / 'configs' / 'cpn' / 'coco' / CPN) for _ in range(2))
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    changes = parser.parse_args(['--cfg-options', option]).cfg_options
    config.merge_from_dict(changes)
    ((key, value),) = changes.items()
    assert _get(config, key) == value != _get(plain, key)
    MODELS.build(config.model)
    ann_file = synthetic / 'annotations' / 'person_keypoints_val.json'
    metric = METRICS.build(dict(config.test_evaluator, ann_file=str(ann_file)))
    if 'pose_nms' in option:
        assert metric.pose_nms == PoseNMSParams.preset(DEFAULT_PRESET)


def _get(config, key):
    """Value of a key such as 'model.head.loss', None if it is missing."""
    for name in key.split('.'):
        config = config.get(name)
    return config


# The recipe for other networks: the lines of this config, with another base.
PROPOSALS = (ROOT / 'configs' / 'cpn' / 'coco' / PGPG).read_text()
BASES = [
    c
    for c in CONFIGS
    if c.parent.name == 'coco'
    and ('_8xb' in c.name or 'rmpe-' in c.name)
    and 'stn-res18' not in c.name
]


@pytest.mark.parametrize('base', BASES, ids=lambda p: p.stem)
def test_proposals_of_the_example_suit_every_network(base, tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(re.sub(r"_base_ = '[^']+'", f'_base_ = {str(base)!r}', PROPOSALS))
    config, plain = load(path), load(base)
    image, proposal, *steps = config.train_pipeline
    assert proposal == dict(type='PoseGuidedProposal', model='alphapose')
    for t in steps:
        if t.type == 'RandomBBoxTransform':
            assert t.pop('shift_prob') == t.pop('scale_prob') == 0.0
    for t in plain.train_pipeline:
        if t.type == 'RandomBBoxTransform':
            t.pop('shift_prob', None)
            t.pop('scale_prob', None)
    assert [image, *steps] == plain.train_pipeline
    for key in ('train_pipeline', 'train_dataloader'):
        config[key] = plain[key] = None
    for key in ('proposal', 'unjittered', 'load', 'steps'):
        config.pop(key)
        plain.pop(key, None)
    assert config.to_dict() == plain.to_dict()


def test_ablation_configs_are_short():
    for path in CONFIGS:
        if path.parent.name == 'ablation':
            lines = [x for x in path.read_text().splitlines() if x.strip()]
            assert len(lines) <= 14, path.name
            assert lines[1].startswith('# ')


def test_user_config_inherits_by_path(tmp_path):
    path = tmp_path / 'mine.py'
    base = CONFIGS[-1]
    change = 'model = dict(head=dict(loss=dict(topk=5)))'
    path.write_text(f'_base_ = {json.dumps(str(base))}\n{change}\n')
    assert Config.fromfile(path).model.head.loss.topk == 5


def test_stage1_changes_only_the_perturbation_of_boxes():
    changed = load(RMPE[0].with_name(STAGE1_OF_CPN))
    plain = load(ROOT / 'configs' / 'cpn' / 'coco' / CPN)
    for t in changed.train_pipeline:
        if t.type == 'RandomBBoxTransform':
            assert t.shift_prob == 1.0
            assert t.rotate_factor == 45.0
            assert t.scale_factor == (0.75, 1.35)
    assert changed.model == plain.model
    assert changed.val_pipeline == plain.val_pipeline
    assert changed.optim_wrapper == plain.optim_wrapper


@pytest.mark.parametrize('path', STAGE2, ids=lambda p: p.stem)
def test_stage2_starts_from_the_checkpoint_of_its_base(path):
    config = load(path)
    folder = config.load_from.split('/')[-2]
    stage1 = load(next(c for c in CONFIGS if c.stem == folder))
    assert config.load_from.endswith(f'/epoch_{stage1.train_cfg.max_epochs}.pth')
    for part in ('backbone', 'head', 'test_cfg', 'data_preprocessor'):
        assert config.model[part] == stage1.model[part]
    assert config.train_cfg.max_epochs == 30
    assert config.param_scheduler[-1].end == 30
    assert [hook.type for hook in config.custom_hooks][1:] == SSTN_HOOKS
    rates = stage1.optim_wrapper.optimizer.lr, config.optim_wrapper.optimizer.lr
    assert rates[1] == pytest.approx(rates[0] / 5)
    types = [t.type for t in config.train_pipeline]
    check_sstn_pipeline([TRANSFORMS.build(t) for t in config.train_pipeline])
    assert len(types) == len(stage1.train_pipeline)
    assert ('PoseGuidedProposal' in types) == ('pgpg' in path.name)


@pytest.mark.parametrize('path', MPII, ids=lambda p: p.stem)
def test_mpii_configs_have_the_published_settings(path):
    config = load(path)
    types = [t.type for t in config.train_pipeline]
    assert types[:2] == ['LoadIntactImage', 'PoseGuidedProposal']
    assert 'RandomBBoxTransform' not in types
    assert config.optim_wrapper.optimizer.type == 'RMSprop'
    assert config.optim_wrapper.optimizer.lr == (
        2.5e-4 if 'stage1' in path.name else 5e-5
    )
    assert config.val_evaluator.type == 'MpiiPCKAccuracy'
    assert config.val_dataloader.dataset.headbox_file is not None
    assert config.test_evaluator.type == 'MultiPersonMAP'
    assert config.test_evaluator.pose_nms == 'rmpe-mpii'
    assert config.test_evaluator.groups == 'mpii'
    assert config.test_dataloader.dataset.bbox_file is not None
    assert config.model.head.out_channels == 16
    if '8stack' in path.name:
        backbone = config.model.backbone
        assert backbone.num_stacks == config.model.head.num_stages == 8
        assert backbone.downsample_times == 4
        assert backbone.stage_channels == (256,) * 5
        assert backbone.stage_blocks == (1,) * 5
    if 'hourglass52' in path.name:
        assert config.model.backbone.num_stacks == 1
        assert 'stage_channels' not in config.model.backbone


DETECTORS = sorted((ROOT / 'configs' / 'detection').glob('*/*.py'))
DETECTORS.append(ROOT / 'configs' / 'quickstart' / 'rtmdet-small_synthetic-160x128.py')


@pytest.mark.parametrize('path', DETECTORS, ids=lambda p: p.stem)
def test_detectors_have_one_class(path):
    config = Config.fromfile(path)
    assert config.custom_imports.imports == ['rmpe_plugin']
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert config[loader].dataset.metainfo['classes'] == ('person',)
    config.model.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config.model)
    head = getattr(model, 'roi_head', model).bbox_head
    assert head.num_classes == 1


def test_detector_of_cpn_has_roi_align_and_soft_nms():
    model = Config.fromfile(DETECTORS[0]).model
    assert model.roi_head.bbox_roi_extractor.roi_layer.type == 'RoIAlign'
    assert model.neck.type == 'FPN'
    assert model.test_cfg.rcnn.nms.type == 'soft_nms'
