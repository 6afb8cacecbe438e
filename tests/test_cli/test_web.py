# SPDX-License-Identifier: Apache-2.0
"""Arguments of ``rmpe web``."""

import sys

import pytest

from rmpe_plugin.cli import web
from rmpe_plugin.web import Limits

PHOTO, HUMAN, PERSON = ('photo', None), ('human', None), ('person', None)


def parse(monkeypatch, words):
    monkeypatch.setattr(sys, 'argv', ['rmpe web', *words.split()])
    return web.parse_args()


@pytest.mark.parametrize(
    ('words', 'model', 'detector'),
    [
        ('', PHOTO, PERSON),
        ('human --det human', HUMAN, HUMAN),
        ('human m.pth --det human d.pth', ('human', 'm.pth'), ('human', 'd.pth')),
        ('--det whole_image --port 80', PHOTO, ('whole_image', None)),
    ],
)
def test_models(monkeypatch, words, model, detector):
    args = parse(monkeypatch, words)
    assert (args.pose, args.det) == (model, detector)


def test_listens_on_this_machine_only_by_default(monkeypatch):
    args = parse(monkeypatch, '')
    assert (args.host, args.port) == ('127.0.0.1', 7860)


def test_limits(monkeypatch):
    assert web.limits(parse(monkeypatch, '')) == Limits()
    words = '--max-megabytes 1 --max-megapixels 2 --max-frames 3 --max-seconds 4'
    assert web.limits(parse(monkeypatch, words)) == (1, 2, 3, 4)


def test_chosen_model_is_first_and_keeps_its_checkpoint():
    models = web.by_name(('photo', 'mine.pth'), 'photo', 'other')
    assert [*models.items()] == [
        ('photo', ('photo', 'mine.pth')),
        ('other', ('other', None)),
    ]
    assert [*web.by_name(('folder/mine.onnx', None), 'photo')] == ['mine.onnx', 'photo']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('fhoto', "has the name 'fhoto'; similar names: photo"),
        ('photo a.jpg', 'unexpected a.jpg'),
        ('--det person a.jpg', 'unexpected a.jpg'),
        ('--max-frames 0', 'must be at least 1'),
    ],
)
def test_wrong_arguments(monkeypatch, capsys, words, message):
    with pytest.raises(SystemExit) as error:
        parse(monkeypatch, words)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_gradio_is_one_line_that_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr('rmpe_plugin.deploy.requirements.find_spec', lambda name: None)
    monkeypatch.setattr(sys, 'argv', ['rmpe web'])
    assert web.main() == 2
    message = 'rmpe web: error: gradio not installed: pip install "rmpe_plugin[web]"\n'
    assert capsys.readouterr().err == message
