# SPDX-License-Identifier: Apache-2.0
"""Configs for own annotations."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from rmpe_plugin.apis import RMPEInferencer
from rmpe_plugin.cli import new
from tests.conftest import ROOT

NAMES = ['neck', 'left paw', 'right paw', 'Хвост', "owner's hand"]
CATEGORY = dict(id=1, name='cat', keypoints=NAMES, skeleton=[[1, 2], [1, 3]])
RES50 = 'rmpe_plugin::cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py'


def write(path, folder='images', changes=None, number=2, **content):
    """Annotations of people with as many keypoints as the first category names."""
    category = content.get('categories', [CATEGORY])[0]
    points = len(category.get('keypoints', NAMES))
    images = path.parent / folder
    images.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    dataset = dict(images=[], annotations=[], categories=[CATEGORY])
    for i in range(1, number + 1):
        name = f'{path.stem}{i}.png'
        pixels = rng.integers(0, 255, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / name)
        dataset['images'].append(dict(id=i, file_name=name, width=120, height=100))
        xy = rng.uniform(20, 80, (points, 2))
        keypoints = np.column_stack((xy, np.full(points, 2))).ravel().tolist()
        person = dict(
            id=i, image_id=i, category_id=category['id'], bbox=[10, 10, 100, 80],
            area=8000, keypoints=keypoints,
        )  # fmt: skip
        dataset['annotations'].append(person | (changes or {}))
    path.write_text(json.dumps(dataset | content))
    return path


@pytest.fixture
def train(tmp_path):
    return write(tmp_path / 'train.json')


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Function that runs the command; exit status, config, output and errors."""

    def start(*arguments, out='mine.py'):
        arguments = [*arguments, '--out', tmp_path / out]
        if '--images' not in arguments:
            arguments += ['--images', tmp_path / 'images']
        monkeypatch.setattr(sys, 'argv', ['rmpe new', *map(str, arguments)])
        try:
            status = new.main()
        except SystemExit as error:
            status = error.code
        return status, tmp_path / out, *capsys.readouterr()

    return start


def test_config_trains_tests_and_predicts(run, train, tmp_path):
    val = write(tmp_path / 'val.json')
    status, path, output, errors = run(train, '--val', val)
    assert status == 0, errors
    lines = path.read_text().splitlines()
    assert len(lines) <= 15
    assert '_delete_' not in path.read_text()
    config = Config.fromfile(path)
    assert config.load_from is None
    head = config.model.head
    assert head.out_channels == 5
    assert head.loss.topk == 2
    assert head.decoder.get('calibration') is None
    config.work_dir = str(tmp_path / 'work')
    config.train_cfg.update(max_epochs=2, val_interval=2)
    config.default_hooks.logger.interval = 1
    runner = Runner.from_cfg(config)
    runner.train()
    assert np.isfinite(runner.message_hub.get_scalar('train/loss').current())
    metrics = runner.test()
    assert metrics['coco/AP'] >= 0

    checkpoint = tmp_path / 'work/epoch_2.pth'
    for file in (path, tmp_path / 'work/mine.py'):
        inferencer = RMPEInferencer(file, checkpoint, pose_nms=None)
        meta = inferencer.dataset_meta
        assert [*meta['keypoint_name2id']] == NAMES
        assert meta['flip_indices'] == [0, 2, 1, 3, 4]
        assert meta['skeleton_links'] == [(0, 1), (0, 2)]
        image = tmp_path / 'images/val1.png'
        (result,) = inferencer([image], [np.array([[10.0, 10.0, 110.0, 90.0]])])
        assert result.poses.pred_instances.keypoints.shape == (1, 5, 2)


def test_documentation_shows_the_config(run, tmp_path, monkeypatch):
    page = (ROOT / 'docs/custom_data.md').read_text()
    category, config = (
        next(block for block in re.findall(rf'```{language}\n(.*?)```', page, re.S)
             if word in block)
        for language, word in (('json', 'keypoints'), ('python', 'FinetuneHook'))
    )  # fmt: skip
    (tmp_path / 'data/mine').mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'val'):
        path = Path(f'data/mine/{split}.json')
        write(path, categories=[json.loads(category)])
    arguments = ('data/mine/train.json', '--val', 'data/mine/val.json')
    _, path, *_ = run(*arguments, '--images', 'data/mine/images')
    assert path.read_text() == config


def test_prints_a_summary(run, train):
    status, path, output, _ = run(train)
    assert status == 0
    for row in (
        r'images +│ 2 in .*images',
        'people +│ 2 of 2',
        r'boxes +│ 100 x 80 pixels \(median\)',
        'areas +│ of the file',
        f'keypoints +│ 5: {", ".join(NAMES)}',
        'swap +│ left paw and right paw',
    ):
        assert re.search(row, output), row
    assert 'without --val, the model is tested on the people it is trained' in output
    assert f'{path} is written; rmpe train {path} trains' in output
    config = Config.fromfile(path)
    assert config.val_dataloader.dataset.ann_file == str(train)
    assert config.test_dataloader == config.val_dataloader


def test_starts_from_a_config_without_weights(run, train, tmp_path):
    val = write(tmp_path / 'val.json', 'others', dict(area=None))
    content = json.loads(val.read_text())
    for annotation in content['annotations']:
        del annotation['area']
    val.write_text(json.dumps(content))
    folder = tmp_path / 'others'
    status, path, output, errors = run(
        train, '--val', val, '--val-images', folder, '--from', RES50
    )
    assert status == 0, errors
    assert f'_base_ = {RES50!r}' in path.read_text()
    config = Config.fromfile(path)
    base = Config.fromfile(new.find_config(RES50))
    assert config.get('custom_hooks') == base.get('custom_hooks')
    assert config.model.backbone == base.model.backbone
    assert config.val_dataloader.dataset.bbox_file is None
    assert config.val_dataloader.dataset.data_prefix.img == str(folder)
    assert config.train_dataloader.dataset.data_prefix.img == str(tmp_path / 'images')
    assert 'metainfo' not in config.train_dataloader.dataset
    assert config.val_evaluator[0].use_area is False
    assert config.test_evaluator == config.val_evaluator
    assert re.search('areas +│ 0.53 of the boxes', output)

    status, second, *_ = run(train, '--from', path, out='folder/second.py')
    assert status == 0
    assert second.read_text().startswith("_base_ = '../mine.py'")
    assert Config.fromfile(second).model == config.model


@pytest.mark.parametrize(('number', 'topk'), [(1, 1), (2, 1), (7, 3)])
def test_half_of_the_keypoints_are_hard(run, tmp_path, number, topk):
    names = [f'point {i}' for i in range(number)]
    category = dict(id=3, name='thing', keypoints=names)
    path = write(tmp_path / 'train.json', categories=[category])
    status, out, output, errors = run(path)
    assert status == 0, errors
    head = Config.fromfile(out).model.head
    assert (head.out_channels, head.loss.topk) == (number, topk)
    assert re.search('swap +│ none', output)


def test_replaces_only_with_force(run, train):
    status, path, *_ = run(train)
    path.write_text('mine')
    status, path, _, errors = run(train)
    assert status == 2
    assert 'mine.py exists; --force replaces it' in errors
    assert path.read_text() == 'mine'
    assert run(train, '--force')[0] == 0
    assert 'FinetuneHook' in path.read_text()


def test_quotes_paths(run, tmp_path):
    folder = tmp_path / "a 'b' ü"
    folder.mkdir()
    path = write(folder / 'train set.json')
    status, out, *_ = run(path, '--images', folder / 'images')
    assert status == 0
    dataset = Config.fromfile(out).train_dataloader.dataset
    assert dataset.ann_file == str(path)
    assert dataset.data_prefix.img == str(folder / 'images')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(categories=[dict(id=1, name='cat')]), 'no category has keypoints'),
        (dict(annotations=[]), '0 of 0 people are used; at least one is needed'),
        (dict(annotations=None), 'annotation records must be a list'),
        (dict(categories=[dict(CATEGORY, skeleton=[[0, 1]])]), 'from 1 to 5, got [0,'),
        (dict(categories=[dict(CATEGORY, keypoints=['a'] * 5)]), 'different names'),
        (
            dict(images=[dict(id=i, file_name='0.png', width=120, height=100) for i in
                         (1, 2)]),
            '2 of 2 images are missing',
        ),
    ],
)  # fmt: skip
def test_raises_on_annotations_that_cannot_be_trained(run, tmp_path, content, message):
    path = write(tmp_path / 'train.json', **content)
    status, out, _, errors = run(path)
    assert status == 2
    assert errors.splitlines()[-1].startswith('rmpe new: error: ')
    assert message in errors
    assert not out.exists()


def test_raises_on_other_mistakes(run, train, tmp_path):
    category = dict(CATEGORY, keypoints=NAMES[::-1])
    val = write(tmp_path / 'val.json', categories=[category])
    errors = run(train, '--val', val)[3]
    assert "val.json has the keypoints owner's hand, Хвост" in errors
    incomplete = json.loads(train.read_text())
    del incomplete['annotations'][0]['keypoints']
    val.write_text(json.dumps(incomplete))
    assert 'annotation 0 (id 1) has no keypoints' in run(train, '--val', val)[3]
    assert 'none.py does not exist' in run(train, '--from', 'none.py')[3]
    errors = run(train, '--from', 'human')[3]
    assert 'train_dataloader.dataset must be a CheckedCocoDataset' in errors
    assert '--out must end with .py' in run(train, out='mine.txt')[3]
