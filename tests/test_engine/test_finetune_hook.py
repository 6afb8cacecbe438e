# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning on the joints of Human3.6M with the published config."""

import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpose.registry import HOOKS, MODELS

import rmpe_plugin.engine.hooks.finetune_hook as module
from rmpe_plugin.apis import find_model, load_pose_estimator
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


@pytest.mark.slow
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
    """Runner of a model for keypoints with these names."""

    iter = 0

    def __init__(self, model, head=None, names=()):
        self.model = model
        self.cfg = Config(dict(model=dict(head=head or {})))
        metainfo = dict(keypoint_name2id={name: i for i, name in enumerate(names)})
        self.train_dataloader = SimpleNamespace(
            dataset=SimpleNamespace(metainfo=metainfo)
        )
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


# --- keypoints by their names ---------------------------------------------------------

COCO = [
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
    'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
]  # fmt: skip
H36M = [
    'root', 'right_hip', 'right_knee', 'right_foot', 'left_hip', 'left_knee',
    'left_foot', 'spine', 'thorax', 'neck_base', 'head', 'left_shoulder', 'left_elbow',
    'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist',
]  # fmt: skip
PER_KEYPOINT = r'head\.(global_net\.predictors\.\d|refine_net)\.(conv|norm)\.'


def head_of(number, channels=8):
    return dict(
        type='CPNHead',
        in_channels=[4, 4, 4, 4],
        out_channels=number,
        feat_channels=channels,
        refine_net=dict(type='RefineNet', num_bottlenecks=(0, 1)),
        global_loss=dict(type='KeypointMSELoss', use_target_weight=True),
        loss=dict(type='OHKMMSELoss', use_target_weight=True, topk=1),
    )


class Net(torch.nn.Module):
    """A backbone layer and a head."""

    def __init__(self, head):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 4, 1)
        self.head = MODELS.build(head)


@pytest.fixture
def finetune(tmp_path, monkeypatch):
    """Function that fine-tunes from random weights; its model, the weights, the log."""

    def start(saved, names, *reinitialize, number=None, channels=8, has_names=True):
        torch.manual_seed(1)
        old = {
            k: torch.rand_like(v.float())
            for k, v in Net(head_of(len(saved), channels)).state_dict().items()
        }
        meta = dict(
            dataset_meta=dict(keypoint_name2id={n: i for i, n in enumerate(saved)})
        )
        path = tmp_path / 'old.pth'
        torch.save(dict(state_dict=old, meta=meta if has_names else {}), path)
        logged = []
        monkeypatch.setattr(
            module, 'print_log', lambda text, logger: logged.append(text)
        )
        head = head_of(number or len(names))
        model = Net(head)
        fresh = {k: v.clone() for k, v in model.state_dict().items()}
        random = torch.get_rng_state()
        hook(path, *reinitialize).before_train(FakeRunner(model, head, names))
        assert torch.equal(torch.get_rng_state(), random)
        return model.state_dict(), old, fresh, logged[0]

    return start


@pytest.mark.parametrize(
    ('saved', 'names'),
    [
        (COCO, H36M),
        (COCO, ['tail', 'left_hip', 'nose', 'right_hip', 'Nose']),
        (COCO, COCO[::-1]),
        (COCO, ['nose']),
        (COCO, ['tail']),
        (['nose'], COCO),
        (COCO, COCO),
    ],
)
def test_rows_are_kept_by_the_names_of_keypoints(finetune, saved, names):
    state, old, fresh, log = finetune(saved, names)
    shared = [name for name in names if name in saved]
    layers = [name for name in state if re.match(PER_KEYPOINT, name)]
    layers = [name for name in layers if not name.endswith('num_batches_tracked')]
    assert len(layers) == 5 * 5
    for layer in layers:
        for i, name in enumerate(names):
            expected = (
                old[layer][saved.index(name)] if name in saved else fresh[layer][i]
            )
            assert torch.equal(state[layer][i], expected), (layer, name)
    for layer in state.keys() - layers:
        assert torch.equal(state[layer], old[layer].to(state[layer])), layer
    kept = ', '.join(shared) or 'none'
    assert f'{len(state) - 25} are kept, 25 are kept by the names of keypoints' in log
    assert f'{len(shared)} keypoints are kept: {kept}' in log.splitlines()
    anew = ', '.join(name for name in names if name not in saved) or 'none'
    count = len(names) - len(shared)
    assert f'{count} keypoints start anew: {anew}' in log.splitlines()


def test_included_model_predicts_the_keypoints_that_are_kept():
    config = Config.fromfile(find_model('photo').config)
    model = load_pose_estimator(config, find_model('photo').weights, 'cpu')
    saved = [*model.dataset_meta['keypoint_name2id']]
    names = ['own', *saved[5:1:-1], 'other']
    config.model.backbone.init_cfg = None
    config.model.head.update(out_channels=6)
    config.model.head.loss.topk = 3
    tuned = MODELS.build(config.model)
    runner = FakeRunner(tuned, config.model.head, names)
    module.FinetuneHook('photo').before_train(runner)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = (net.eval()(image, None)[-1] for net in (model, tuned))
    # Some CPUs add in another order if the number of channels differs.
    torch.testing.assert_close(found[:, 1:5], expected[:, [5, 4, 3, 2]])


def test_expressions_override_names(finetune):
    state, old, fresh, log = finetune(COCO, COCO, r'head\.refine_net\.conv')
    weight = 'head.refine_net.conv.weight'
    assert torch.equal(state[weight], fresh[weight])
    level = 'head.global_net.predictors.0.conv.weight'
    assert torch.equal(state[level], old[level])
    assert log.splitlines()[-1] == weight


@pytest.mark.parametrize('names', [COCO, H36M, ['tail']])
def test_raises_on_a_checkpoint_without_names(finetune, names):
    with pytest.raises(
        ValueError, match='does not name its keypoints.*head.global_net'
    ):
        finetune(COCO, names, has_names=False)
    state, old, fresh, _ = finetune(COCO, names, PER_KEYPOINT, has_names=False)
    assert torch.equal(state['stem.weight'], old['stem.weight'])
    weight = 'head.refine_net.conv.weight'
    assert torch.equal(state[weight], fresh[weight])


def test_raises_on_other_shapes_and_numbers(finetune):
    with pytest.raises(ValueError, match=r'laterals\.0\.conv\.weight'):
        finetune(COCO, COCO, PER_KEYPOINT, channels=6)
    with pytest.raises(
        ValueError, match=r'predictors\.0\.conv\.weight must have the shape'
    ):
        finetune(COCO, H36M, channels=6)
    with pytest.raises(ValueError, match='out_channels is 17, but .* 1 keypoints: t'):
        finetune(COCO, ['tail'], number=17)


def test_heads_without_out_channels_keep_equal_keypoints_only(tmp_path):
    model = torch.nn.Sequential()
    model.head = torch.nn.Linear(2, 3)
    path = tmp_path / 'a.pth'
    meta = dict(dataset_meta=dict(keypoint_name2id=dict(a=0, b=1, c=2)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    head = dict(type='RegressionHead')
    hook(path).before_train(FakeRunner(model, head, 'abc'))
    with pytest.raises(ValueError, match='RegressionHead has no out_channels'):
        hook(path).before_train(FakeRunner(model, head, 'abd'))
    hook(path, 'head').before_train(FakeRunner(model, head, 'abd'))


def test_raises_on_layers_with_keypoints_in_another_dimension(tmp_path, monkeypatch):
    """Such as the input of a second stage, which contains heatmaps."""
    model = torch.nn.Sequential()
    model.head = torch.nn.Conv2d(4 + 5, 4, 1)
    path = tmp_path / 'a.pth'
    meta = dict(dataset_meta=dict(keypoint_name2id=dict(a=0, b=1, c=2, d=3)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    monkeypatch.setattr(module, '_layers_by_keypoint', lambda *_: {'head.weight'})
    runner = FakeRunner(model, dict(out_channels=5), 'abcde')
    with pytest.raises(ValueError, match='head.weight must have .* a row for each'):
        hook(path).before_train(runner)


def test_checkpoint_is_the_name_of_a_model(monkeypatch):
    read = []
    monkeypatch.setattr(
        module, 'read_weights', lambda name: read.append(name) or ({}, {})
    )
    for name in ('photo', 'none.pth', 'package://rmpe_plugin/a.pth'):
        runner = FakeRunner(torch.nn.Sequential())
        module.FinetuneHook(name).before_train(runner)
    assert read[0].startswith('package://rmpe_plugin/weights/cpn')
    assert read[1:] == ['none.pth', 'package://rmpe_plugin/a.pth']
    with pytest.raises(ValueError, match='person is no top-down pose estimator'):
        module.FinetuneHook('person').before_train(runner)
