# SPDX-License-Identifier: Apache-2.0
"""No code in loaded files is run, and no connection is made unless configured."""

import ast
import re
import socket
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from rmpe_plugin.apis import PersonDetector, RMPEInferencer
from tests.conftest import ROOT
from tests.faults.test_damaged_files import change, load, make_annotations

SOURCES = sorted(
    path
    for folder in ('rmpe_plugin', 'experiments', 'tools')
    for path in (ROOT / folder).rglob('*.py')
    if 'tests' not in path.parts
)
CONFIGS = sorted(
    path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts
)
# Calls that run code in a file unless this argument is given.
SAFE_WITH = {
    'torch.load': ('weights_only', True),
    'np.load': ('allow_pickle', False),
    'torch.hub.load_state_dict_from_url': ('weights_only', True),
}
NEVER = {
    'pickle.load', 'pickle.loads', 'joblib.load', 'yaml.load', 'eval', 'exec',
    'mmengine.load', 'torch.hub.load', 'marshal.loads', 'os.system',
}  # fmt: skip


def unsafe_calls(source):
    """Calls in a source text that may run code in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        # partial(f, ...) prepares a call of f.
        name, arguments = ast.unparse(node.func), node.args
        if name == 'partial' and arguments:
            name = ast.unparse(arguments[0])
        given = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name in NEVER:
            found.append(name)
        elif name in SAFE_WITH:
            keyword, value = SAFE_WITH[name]
            if given.get(keyword) != str(value):
                found.append(f'{name} without {keyword}={value}')
    return found


def test_unsafe_calls_are_found():
    found = unsafe_calls(
        'torch.load(path)\npartial(torch.load, path, weights_only=False)\n'
        'torch.load(path, weights_only=True)\nnp.load(path)\npickle.load(file)'
    )
    assert len(found) == 4


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_source_has_no_unsafe_calls(path):
    assert unsafe_calls(path.read_text()) == []


@pytest.fixture
def no_network(monkeypatch):
    """Make each connection raise."""

    def fail(*args, **kwargs):
        raise AssertionError(f'a connection to {args}')

    for name in ('connect', 'connect_ex'):
        monkeypatch.setattr(socket.socket, name, fail)
    monkeypatch.setattr(socket, 'create_connection', fail)
    monkeypatch.setattr(socket, 'getaddrinfo', fail)


def is_offline(model):
    """Whether all weights of a model are files or in installed packages."""
    schemes = ('torchvision://', 'https://', 'open-mmlab://')
    packages = re.findall(r'package://(\w+)', model)
    return not any(s in model for s in schemes) and all(map(find_spec, packages))


@pytest.mark.slow
def test_configs_without_addresses_make_no_connection(no_network):
    # One config of each kind of network; variants of it initialise the same weights.
    offline = {
        (config.model.type, config.model.backbone.type): config
        for config in map(Config.fromfile, CONFIGS)
        if is_offline(str(config.model))
    }
    assert len(offline) >= 5
    for config in offline.values():
        init_default_scope(config.get('default_scope', 'mmpose'))
        model = config.model
        # This is the checkpoint of an earlier stage, a local file.
        if 'backbone' in model.get('stn', {}):
            model.stn.backbone.init_cfg = None
        MODELS.build(model).init_weights()
    init_default_scope('mmpose')


def test_inference_makes_no_connection(no_network, cpn, detector_files):
    config, checkpoint = detector_files
    detector = PersonDetector(config, checkpoint, score_thr=0.0, device='cpu')
    inferencer = RMPEInferencer(*cpn, detector, device='cpu')
    (result,) = inferencer([np.zeros((240, 320, 3), np.uint8)])
    assert not result.frame.error


def test_connections_are_detected(no_network):
    with pytest.raises(AssertionError, match='a connection to'):
        socket.create_connection(('localhost', 9))
    with pytest.raises(AssertionError, match='a connection to'):
        socket.socket().connect(('127.0.0.1', 9))


def test_raises_on_images_outside_the_image_folder(tmp_path):
    for name in ('../secret.jpg', 'a/../../secret.jpg', str(Path.home() / 'x.jpg')):
        content = change(make_annotations(), 'images', 0, 'file_name', value=name)
        with pytest.raises(ValueError, match='must be a path inside the folder'):
            load(tmp_path, content)
