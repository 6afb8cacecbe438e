# SPDX-License-Identifier: Apache-2.0
"""The page without a browser."""

import json
import shutil
import socket
import time
from html import unescape
from itertools import count
from urllib.request import Request, urlopen

import pytest

from rmpe_plugin.web import WebSettings

gr = pytest.importorskip('gradio', reason='needs the extra web')

from rmpe_plugin.web.page import build_page, find_examples, predict, serve  # noqa: E402

SESSIONS = count()
SETTINGS = WebSettings('small', 'whole_image', compare=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Folder of uploads and results."""
    folder = tmp_path / 'cache'
    folder.mkdir()
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(folder))
    return folder


def no_progress(*args, **kwargs):
    pass


def run(predictor, path, **settings):
    """Text and updates of both results."""
    settings = SETTINGS._replace(**settings)
    path = None if path is None else str(path)
    text, *updates = predict(predictor, path, *settings, progress=no_progress)
    return text, updates[:4], updates[4:]


def test_shows_a_picture_with_and_without_pose_nms(predictor, picture, cache):
    text, first, second = run(predictor, picture)
    assert text == '**People: 0, without pose NMS: 1**'
    for column, drawing, video, files in (first, second):
        assert column['visible'] and drawing['visible'] and not video['visible']
        assert drawing['value'].startswith(str(cache))
        names = [path.rpartition('/')[2] for path in files['value']]
        assert names == ['results.json', 'alphapose-results.json', '7.jpg']
    assert first[1]['value'] != second[1]['value']


def test_shows_one_result_without_comparison(predictor, picture):
    text, first, second = run(predictor, picture, compare=False)
    assert text == '**No people were found. Try a lower score of boxes.**'
    assert first[0]['visible'] and not second[0]['visible']
    assert [update['value'] for update in second[1:]] == [None] * 3


def test_shows_a_video(predictor, video):
    text, (_, drawing, shown, _), _ = run(predictor, video)
    assert text == '**People in 12 frames: 0, without pose NMS: 12**'
    assert shown['visible'] and shown['value'].endswith('walk.webm')
    assert not drawing['visible'] and drawing['value'] is None


def test_says_what_is_wrong_with_a_file(predictor, picture, cache):
    broken = picture.with_name('<b>.jpg')
    broken.write_text('text')
    text, first, second = run(predictor, broken)
    assert unescape(text) == '**<b>.jpg: cannot be read as an image**'
    assert '<' not in text
    assert not first[0]['visible'] and not second[0]['visible']
    assert not [*cache.iterdir()]
    assert run(predictor, None)[0] == '**Choose a picture or a video first.**'


def test_examples_have_their_source_and_licence(coco_cc, tmp_path):
    paths, text = find_examples(coco_cc)
    assert len(paths) == 16
    lines = text.split('\n\n')
    assert len(lines) == 2
    link = '(http://farm9.staticflickr.com/8292/7866247804_e0486b75b8_z.jpg)'
    (line,) = (line for line in lines if link in line)
    licence = '[Attribution License](http://creativecommons.org/licenses/by/2.0/)'
    assert line.startswith(f'{licence}: ')
    shutil.copy(paths[0], tmp_path)
    assert find_examples(tmp_path) == ([tmp_path / paths[0].name], '')


def test_raises_on_a_folder_of_examples_without_pictures(cache):
    with pytest.raises(ValueError, match='contains no pictures'):
        find_examples(cache)


@pytest.fixture
def quick_deletion(monkeypatch):
    monkeypatch.setattr('rmpe_plugin.web.page.DELETE_CACHE', (1, 1))


@pytest.fixture
def server(predictor, monkeypatch):
    """Address of a page; its process may connect to this machine only."""
    outside = []
    connect = socket.socket.connect

    def connect_here(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ('127.0.0.1', '::1'):
            outside.append(address)
            raise OSError(f'connection to {address}')
        return connect(self, address)

    monkeypatch.setattr(socket.socket, 'connect', connect_here)
    page = build_page(predictor)
    # Returns at once, so that the test goes on.
    monkeypatch.setattr(page, 'block_thread', lambda: None)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    serve(page, predictor.limits, '127.0.0.1', port)
    yield page.local_url
    page.close()
    assert not outside


def upload(server, path):
    """Upload a file as the page does; its path on the server."""
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n'
    body = head % path.name.encode() + path.read_bytes() + b'\r\n--b--\r\n'
    kind = {'Content-Type': 'multipart/form-data; boundary=b'}
    request = Request(f'{server}gradio_api/upload', body, kind)
    return json.loads(urlopen(request).read())[0]


def call(server, file, **settings):
    """Predict the poses as the page does; the last message of the server."""
    data = [dict(path=file, meta=dict(_type='gradio.FileData'))]
    data += SETTINGS._replace(**settings)
    body = dict(data=data, fn_index=0, session_hash=str(next(SESSIONS)))
    kind = {'Content-Type': 'application/json'}
    join = f'{server}gradio_api/queue/join'
    urlopen(Request(join, json.dumps(body).encode(), kind)).read()
    events = f'{server}gradio_api/queue/data?session_hash={body["session_hash"]}'
    for line in urlopen(events):
        message = json.loads(line.strip().removeprefix(b'data: ') or 'null')
        if message and message['msg'] == 'process_completed':
            return message
    raise AssertionError('the server closed the connection')


def test_server_needs_no_other_host_and_gives_no_file_of_the_machine(server, coco_cc):
    html = urlopen(server).read().decode()
    config = json.loads(urlopen(f'{server}config').read())
    assert not config['analytics_enabled']
    assert 'fonts.googleapis.com' not in html + json.dumps(config)
    for path in (coco_cc / '000000000790.jpg', '/etc/passwd'):
        with pytest.raises(OSError, match='403|404'):
            urlopen(f'{server}gradio_api/file={path}')


def test_server_predicts_and_refuses_what_the_page_cannot_send(server, picture):
    file = upload(server, picture)
    wrong = (
        ('http://127.0.0.1:9/a.jpg', {}, 'not its address'),
        ('https://example.com/a.jpg', {}, 'not its address'),
        ('/etc/passwd', {}, None),
        (file, dict(model='/tmp/model.py'), 'not in the list of choices'),
        (file, dict(detector='human'), 'not in the list of choices'),
        (file, dict(box_thr=0), 'less than minimum'),
        (file, dict(kpt_thr=2), 'greater than maximum'),
    )
    for path, settings, text in wrong:
        message = call(server, path, **settings)
        assert not message['success']
        assert text is None or text in message['output']['error']
        assert 'Traceback' not in json.dumps(message)
    message = call(server, file)
    assert message['success'], message
    assert message['output']['data'][0] == '**People: 0, without pose NMS: 1**'


def test_an_unexpected_error_leaves_no_files(predictor, picture, cache, monkeypatch):
    def fail(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(predictor, '_poses', fail)
    with pytest.raises(ZeroDivisionError):
        run(predictor, picture)
    assert not [*cache.iterdir()]


def test_uploads_and_results_are_deleted(quick_deletion, server, picture, cache):
    assert call(server, upload(server, picture))['success']
    for _ in range(300):
        time.sleep(0.1)
        if not any(path.stat().st_size for path in files_in(cache)):
            return
    raise AssertionError(files_in(cache))


def files_in(folder):
    return [path for path in folder.rglob('*') if path.is_file()]


def test_server_refuses_large_files(server, tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(bytes(2**20 + 1))
    with pytest.raises(OSError, match='413'):
        upload(server, path)
