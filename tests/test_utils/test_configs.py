# SPDX-License-Identifier: Apache-2.0
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import mmpose
import pytest
from mmengine.config import Config
from mmpose.registry import METRICS, MODELS

from rmpe_plugin.apis import find_model
from rmpe_plugin.utils.configs import find_config
from tests.conftest import ROOT

CPN = 'cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py'
DETECTOR = 'detection/coco/rtmdet-tiny_8xb32-300e_coco-person.py'
MMPOSE = 'body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'


@pytest.fixture
def inherit(tmp_path):
    """Function that loads a config that inherits others by their names."""

    def load(base, change=''):
        path = tmp_path / 'mine.py'
        path.write_text(f'_base_ = {base!r}\n{change}\n')
        return Config.fromfile(path)

    return load


@pytest.mark.parametrize('name', [CPN, DETECTOR])
def test_base_by_name_equals_the_file(inherit, name):
    inherited = inherit(f'rmpe_plugin::{name}')
    assert inherited.to_dict() == Config.fromfile(ROOT / 'configs' / name).to_dict()


def test_types_of_a_base_by_name_are_found(inherit):
    change = """
load, *steps = _base_.val_pipeline
val_pipeline = [load, *steps]
val_evaluator = dict(_base_.val_evaluator, ann_file='')
"""
    config = inherit(f'rmpe_plugin::{CPN}', change)
    config.model.backbone.init_cfg = None
    assert type(MODELS.build(config.model).head).__name__ == 'CPNHead'
    assert METRICS.get(config.val_evaluator.type).__name__ == 'PoseNMSCocoMetric'
    # MMEngine would build these types in the registries of a package of this scope
    assert '_scope_' not in str(config.val_pipeline)


def test_base_by_name_stands_beside_one_of_mmpose(inherit):
    config = inherit([f'mmpose::{MMPOSE}', 'rmpe_plugin::_base_/rmpe.py'])
    assert config.perturbation.shift_prob == 1.0
    assert config.model.head.type == 'HeatmapHead'


def test_finds_configs_by_path_and_name():
    path = ROOT / 'configs' / CPN
    assert find_config(path) == find_config(str(path)) == path
    assert find_config(f'rmpe_plugin::{CPN}') == path
    assert find_config(f'mmpose::{MMPOSE}').name == MMPOSE.rpartition('/')[2]
    package = Path(mmpose.__file__).parent
    assert find_config(f'mmpose::{MMPOSE}').is_relative_to(package)


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        ('no.py', FileNotFoundError, r'no\.py does not exist'),
        ('rmpe_plugin::cpn/no.py', FileNotFoundError, 'configs/cpn/no.py is neither'),
        ('mmpose::body/no.py', FileNotFoundError, r'body/no\.py" does not exist'),
        ('other::body/no.py', ValueError, "unknown package 'other', known are rmpe_p"),
        ('mmrotate::a/no.py', ModuleNotFoundError, 'mmrotate is not installed'),
    ],
)
def test_raises_on_unknown_configs(name, error, message):
    with pytest.raises(error, match=message):
        find_config(name)


@pytest.mark.parametrize('command', ['train', 'test'])
def test_mmpose_gets_the_paths_of_named_configs(command, monkeypatch):
    module = import_module(f'rmpe_plugin.cli.{command}')
    words = ['--work-dir', 'x', f'rmpe_plugin::{CPN}', 'a.pth']
    monkeypatch.setattr(sys, 'argv', [command, *words])
    tool = 'rmpe_plugin.cli._mmpose_tool.run_mmpose_tool'
    with mock.patch(tool, return_value=None) as run:
        assert not module.main()
    run.assert_called_once_with(f'{command}.py')
    path = str(ROOT / 'configs' / CPN)
    assert sys.argv == [command, '--work-dir', 'x', path, 'a.pth']


@pytest.mark.parametrize('name', ['human', f'mmpose::{MMPOSE}'])
def test_mmpose_tests_a_model_of_its_index(name, monkeypatch):
    config, weights = find_model(name)
    tool = 'rmpe_plugin.cli._mmpose_tool.run_mmpose_tool'
    for words, checkpoint in (([], weights), (['a.pth'], 'a.pth')):
        monkeypatch.setattr(sys, 'argv', ['test', name, *words, '--work-dir', 'x'])
        with mock.patch(tool, return_value=None):
            assert not import_module('rmpe_plugin.cli.test').main()
        assert sys.argv == ['test', str(config), checkpoint, '--work-dir', 'x']


@pytest.mark.parametrize(
    'words',
    [
        ('train', '{config}'),
        ('predict', '{config}', 'a.pth', 'a.jpg', '--whole-image', '--out', 'x'),
        ('export', '{config}', 'a.pth', '--out', 'a.onnx'),
    ],
)
def test_command_ends_with_a_message_on_unknown_configs(words, monkeypatch, capsys):
    words = [word.format(config='other::cpn/a.py') for word in words]
    monkeypatch.setattr(sys, 'argv', words)
    try:
        status = import_module(f'rmpe_plugin.cli.{words[0]}').main()
    except SystemExit as error:
        status = error.code
    assert status == 2
    message = "error: config other::cpn/a.py: unknown package 'other'"
    assert message in capsys.readouterr().err
