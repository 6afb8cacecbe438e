# SPDX-License-Identifier: Apache-2.0
"""Models by name."""

import hashlib
import re
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import mmengine
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.infer import BaseInferencer
from mmpose.apis.inferencers.utils import default_det_models, get_model_aliases

from rmpe_plugin.apis import (
    PersonDetector,
    RMPEInferencer,
    WholeImageDetector,
    find_detector,
    find_model,
    included_models,
    is_model_name,
    list_models,
    load_detector,
)
from rmpe_plugin.cli import models
from rmpe_plugin.structures import read_annotations
from rmpe_plugin.utils import model_zoo
from rmpe_plugin.utils.download import DownloadError
from tests.conftest import ROOT
from tests.test_apis.conftest import save_untrained

PUBLISHED = [
    model
    for metafile in mmengine.load(ROOT / 'model-index.yml')['Import']
    for model in mmengine.load(ROOT / metafile)['Models']
    if 'Weights' in model
]


@pytest.mark.parametrize('model', PUBLISHED, ids=lambda model: model['Alias'])
def test_weights_have_the_checksum_and_size_of_the_metafile(model):
    path = ROOT / model['Weights'].removeprefix('package://')
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == model['SHA256']
    assert len(content) < 16e6
    assert model['Results'][0]['Metrics']
    find = find_model if 'Config' in model else find_detector
    assert find(model['Alias']).config == (ROOT / model.get('Config', path))


def entries(scope):
    """The entries of an index, as MMEngine reads it."""
    folder = BaseInferencer._get_repo_or_mim_dir(scope)
    return Path(folder), [*BaseInferencer._get_models_from_metafile(folder)]


@pytest.mark.parametrize(
    ('scope', 'find'), [('mmpose', find_model), ('mmdet', find_detector)]
)
def test_names_are_those_of_the_index(scope, find, monkeypatch):
    # MMEngine's own look-up loads the config of each; here it returns its path.
    monkeypatch.setattr(Config, 'fromfile', staticmethod(Path))
    folder, found = entries(scope)
    mmengine_index = SimpleNamespace(scope=scope)
    monkeypatch.setattr(
        BaseInferencer, '_get_models_from_metafile', staticmethod(lambda _: found)
    )
    compared = 0
    for model in model_zoo._index(scope):
        for name in {*model.names} - {*model_zoo._ALIASES.values()}:
            if model.kind and model.weights and name not in default_det_models:
                expected = BaseInferencer._load_model_from_metafile(
                    mmengine_index, name
                )
                assert find(name.upper())[:2] == expected
                compared += 1
    assert compared > 300


def test_aliases_are_those_of_mmpose():
    for alias, name in get_model_aliases('mmpose').items():
        assert is_model_name(alias)
        # If two models have an alias, MMEngine takes the first one of the index.
        found = [m for m in model_zoo._index('mmpose') if alias in m.names]
        assert name in [model.names[-1] for model in found]
    human = find_model('human')
    assert human == find_model('body17') == find_model('rtmpose-m')
    assert human.config.name == 'rtmpose-m_8xb256-420e_body8-256x192.py'
    assert find_model('rtmpose-t').config.name == human.config.name.replace('-m', '-t')


def test_names_of_configs_have_the_weights_of_mmengine():
    for name in (
        'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_res50_8xb64-210e_coco-256x192.py',
        'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    ):
        find = find_model if name.startswith('mmpose') else find_detector
        expected = get_config(name, pretrained=True)
        assert find(name)[:2] == (Path(expected.filename), expected.model_path)
        assert find(name, 'mine.pth')[1] == 'mine.pth'


@pytest.mark.parametrize('name', default_det_models)
def test_default_detectors_of_mmpose(name):
    config, weights, labels = find_detector(name)
    table = default_det_models[name]
    assert labels == tuple(table['cat_ids'])
    if table['weights'] is None:
        assert (config, weights, None) == find_detector(table['model'])
    else:
        assert (str(config), weights) == (table['model'], table['weights'])
    assert find_detector(name, 'mine.pth') == (config, 'mine.pth', labels)


def test_files_have_only_the_given_weights(tmp_path):
    for name in ('a.py', 'a.onnx', 'human'):
        (tmp_path / name).touch()
        for path in (tmp_path / name, str(tmp_path / name)):
            assert find_model(path) == (tmp_path / name, None)
            assert find_model(path, 'a.pth') == (tmp_path / name, 'a.pth')


@pytest.mark.parametrize(
    ('find', 'name', 'error', 'message'),
    [
        (find_model, 'x', ValueError, "no top-down pose estimator has the name 'x'"),
        (find_model, 'rtmpse-m', ValueError, 'similar names: rtmpose-m, rtmpose-t'),
        (find_detector, 'humam', ValueError, "detector has the name 'humam'.*: human;"),
        (find_model, 'rtmo', ValueError, 'rtmo is no top-down pose estimator'),
        (find_model, 'human3d', ValueError, 'human3d is no top-down pose estimator'),
        (find_model, 'no.py', FileNotFoundError, r'^no\.py does not exist'),
        (find_model, 'a/human', FileNotFoundError, '^a/human does not exist'),
        (find_detector, 'no.onnx', FileNotFoundError, r'^no\.onnx does not exist'),
        (
            find_model,
            'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
            ValueError,
            'is no top-down pose estimator',
        ),
        (
            find_model,
            'rmpe_plugin::cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py',
            ValueError,
            'the index has no weights of rmpe_plugin::cpn/coco/.*: give its checkpoint',
        ),
        (
            find_model,
            'td-hm_cpn-res50_8xb32-160e_coco-256x192',
            ValueError,
            'the index has no weights of td-hm_cpn-res50',
        ),
    ],
)
def test_raises_on_names_without_a_usable_model(find, name, error, message):
    with pytest.raises(error, match=message):
        find(name)


def test_own_checkpoints_of_names_without_weights():
    name = 'cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192'
    expected = (ROOT / f'configs/{name}.py', 'mine.pth')
    assert find_model(f'rmpe_plugin::{name}.py', 'mine.pth') == expected
    assert find_model(name.rpartition('/')[2], 'mine.pth') == expected


def test_all_listed_models_can_be_found():
    listed = list_models()
    assert listed[0].names[0] == 'photo'
    assert {model.kind for model in listed} == {'pose', 'detector'}
    assert len(listed) > 700
    for model in listed:
        find = find_model if model.kind == 'pose' else find_detector
        for name in model.names:
            assert find(name).config.is_file()
        assert model.ap is None or 1 < model.ap < 100
    (human,) = (m for m in listed if 'human' in m.names and m.kind == 'pose')
    assert (human.dataset, round(human.ap, 1)) == ('Body8', 74.9)
    (tiny,) = (m for m in listed if 'rtmdet-t' in m.names)
    assert (tiny.kind, tiny.dataset, tiny.ap) == ('detector', 'COCO', 40.9)


@pytest.mark.slow
def test_listed_pose_estimators_are_top_down():
    _, found = entries('mmpose')
    listed = {m.config for m in list_models() if m.kind == 'pose'}
    for model in model_zoo._index('mmpose'):
        # The config of ED-Pose cannot be loaded.
        if model.config.is_file() and 'edpose' not in model.config.name:
            config = Config.fromfile(model.config)
            is_top_down = config.model.type == 'TopdownPoseEstimator'
            is_top_down &= 'hand_3d_keypoint' not in model.config.parts
            assert (model.config in listed) == is_top_down, model.names


def run_models(monkeypatch, capsys, *words):
    """Rows that ``rmpe models`` prints."""
    monkeypatch.setattr(sys, 'argv', ['models', *words])
    assert models.main() == 0
    lines = capsys.readouterr().out.splitlines()
    return [[x.strip() for x in s.split('│')[1:-1]] for s in lines if s[0] == '│']


def test_command_lists_models(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (photo,) = run_models(monkeypatch, capsys, 'PACKAGE', 'pose', 'photo')
    assert photo[0] == 'pose'
    assert photo[1].startswith('photo, td-hm_cpn')
    assert photo[4:] == ['13.5 MB', 'package']
    (row,) = run_models(monkeypatch, capsys, 'rtmdet-t,')
    expected = ['detector', 'rtmdet-t, rtmdet_tiny_8xb32-300e_coco', 'COCO', '40.9']
    assert row == [*expected, '', 'to download']
    weights = Path(find_detector('rtmdet-t').weights).name
    file = tmp_path / 'hub' / 'checkpoints' / weights
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(2_100_000))
    assert run_models(monkeypatch, capsys, 'cache') == [[*expected, '2.1 MB', 'cache']]
    assert run_models(monkeypatch, capsys, 'no such model') == []


def cache_untrained(config, weights, scope, folder, **meta):
    """Put an untrained checkpoint of a config into torch's cache."""
    path = folder / 'hub' / 'checkpoints' / Path(weights).name
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_untrained(config, path, scope, **meta)


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which a server on this machine has its files."""
    folder = tmp_path / 'served'
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_inferencer_downloads_a_model_by_its_name(served, tmp_path, monkeypatch):
    folder, address = served
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    # The file name of the index, with the hash of this checkpoint.
    config, weights = find_model('rtmpose-t')
    made = save_untrained(config, folder / 'made.pth', 'mmpose')
    digits = hashlib.sha256(made.read_bytes()).hexdigest()[:8]
    name = re.sub('-[0-9a-f]{8}_', f'-{digits}_', Path(weights).name)
    models = [
        m._replace(weights=f'{address}/{name}') if m.config == config else m
        for m in model_zoo._index('mmpose')
    ]
    monkeypatch.setattr(model_zoo, '_index', lambda package: models)
    with pytest.raises(DownloadError, match=f'{name} was not downloaded: HTTP .* 404'):
        RMPEInferencer('rtmpose-t', device='cpu')
    made.rename(folder / name)
    inferencer = RMPEInferencer('rtmpose-t', detector='whole_image', device='cpu')
    ((_, poses),) = inferencer(np.zeros((90, 120, 3), np.uint8))
    assert poses.pred_instances.keypoints.shape == (1, 17, 2)
    assert isinstance(inferencer.detector, WholeImageDetector)
    assert (tmp_path / 'hub' / 'checkpoints' / name).is_file()


def test_inferencer_takes_the_names_of_detectors(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    config, weights, _ = find_detector('hand')
    # Its checkpoint need not name its class.
    cache_untrained(config, weights, 'mmdet', tmp_path)
    inferencer = RMPEInferencer('photo', detector='hand', device='cpu')
    assert isinstance(inferencer.detector, PersonDetector)
    assert inferencer.detector.labels == (0,)
    assert inferencer.detector.score_thr == 0.3


@pytest.mark.slow
def test_boxes_of_all_labels_of_a_default_detector(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    config, weights, labels = find_detector('animal')
    cache_untrained(
        find_detector('rtmdet-t').config, weights, 'mmdet', tmp_path
    )  # its size does not matter
    monkeypatch.setitem(
        default_det_models,
        'animal',
        dict(default_det_models['animal'], model='rtmdet-t', weights=weights),
    )
    animal = load_detector('animal', device='cpu', score_thr=0.0, top_k=300)
    assert animal.labels == labels == tuple(range(15, 24))
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    everything = animal([image])[0]
    animal.labels = labels[:1]
    some = animal([image])[0]
    assert len(everything) > len(some) > 0


def test_included_models_need_no_download():
    assert included_models('pose') == ['photo']
    assert included_models('detector') == ['person']


# A man who leans on a post, a tennis player, and a standing man.
@pytest.mark.parametrize('image_id', [234748, 174375, 442450])
def test_photo_model_finds_the_joints_of_upright_people(coco_cc, image_id):
    dataset = read_annotations(coco_cc / 'person_keypoints_cc.json')
    person = max(
        (
            a
            for a in dataset['annotations']
            if a['image_id'] == image_id and a['num_keypoints'] >= 8
        ),
        key=lambda a: a['area'],
    )
    x, y, w, h = person['bbox']
    inferencer = RMPEInferencer('photo', device='cpu')
    picture = coco_cc / f'{image_id:012}.jpg'
    ((_, poses),) = inferencer(picture, [[[x, y, x + w, y + h]]])

    names = [*inferencer.dataset_meta['keypoint_id2name'].values()]
    assert names == dataset['categories'][0]['keypoints']
    pose = poses.pred_instances.keypoints[0]
    gt = np.reshape(person['keypoints'], (17, 3))
    labelled = gt[:, 2] > 0
    distance = np.linalg.norm(pose - gt[:, :2], axis=1)[labelled]
    assert np.mean(distance < 0.1 * h) > 0.7
