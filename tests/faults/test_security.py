# SPDX-License-Identifier: Apache-2.0
"""What is loaded, and from where."""

import ast
import socket
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from rmpe_plugin.apis import PersonDetector, RMPEInferencer
from tests.conftest import ROOT

SOURCES = sorted(
    path
    for folder in ('rmpe_plugin', 'tools')
    for path in (ROOT / folder).rglob('*.py')
)
CONFIGS = sorted(
    path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts
)
# Calls that run code which a file holds, unless they are told not to.
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
    """Every call in a source that may run what a file holds."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        # partial(f, ...) is a call of f that is made later
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


def test_the_search_finds_what_it_is_for():
    found = unsafe_calls(
        'torch.load(path)\npartial(torch.load, path, weights_only=False)\n'
        'torch.load(path, weights_only=True)\nnp.load(path)\npickle.load(file)'
    )
    assert len(found) == 4


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle_is_loaded_but_weights_only(path):
    assert unsafe_calls(path.read_text()) == []


@pytest.fixture
def no_network(monkeypatch):
    """Every connection is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError(f'a connection to {args}')

    for name in ('connect', 'connect_ex'):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, 'create_connection', refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)


def downloads(config):
    """What a config says is to be downloaded."""
    text = Config.fromfile(config).pretty_text
    return 'torchvision://' in text or 'https://' in text or 'open-mmlab://' in text


def test_only_configs_that_say_so_download(no_network):
    """Models of the others are built and initialised without a connection."""
    silent = [path for path in CONFIGS if not downloads(path)]
    assert len(silent) >= 5
    for path in silent:
        config = Config.fromfile(path)
        init_default_scope(config.get('default_scope', 'mmpose'))
        model = config.model
        # the checkpoint of an earlier stage, a file
        if 'backbone' in model.get('stn', {}):
            model.stn.backbone.init_cfg = None
        MODELS.build(model).init_weights()
    init_default_scope('mmpose')


def test_inference_makes_no_connection(no_network, cpn, detector_files):
    config, checkpoint = detector_files
    detector = PersonDetector(config, checkpoint, score_thr=0.0, device='cpu')
    inferencer = RMPEInferencer(*cpn, detector, device='cpu')
    (posed,) = inferencer([np.zeros((240, 320, 3), np.uint8)])
    assert not posed.frame.error


def test_a_connection_would_have_been_seen(no_network):
    with pytest.raises(AssertionError, match='a connection to'):
        socket.create_connection(('localhost', 9))
    with pytest.raises(AssertionError, match='a connection to'):
        socket.socket().connect(('127.0.0.1', 9))


def test_a_picture_lies_where_the_user_said(tmp_path):
    """Annotations cannot name a file of another folder; the images are not opened."""
    from tests.faults.test_damaged_files import change, load, truth

    for name in ('../secret.jpg', 'a/../../secret.jpg', str(Path.home() / 'x.jpg')):
        content = change(truth(), 'images', 0, 'file_name', value=name)
        with pytest.raises(ValueError, match='must be a path inside the folder'):
            load(tmp_path, content)
