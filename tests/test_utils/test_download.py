# SPDX-License-Identifier: Apache-2.0
"""Downloads from a server on this machine that fails in all ways."""

import hashlib
import io
import pickle
import re
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from rmpe_plugin.utils import download
from rmpe_plugin.utils.download import DownloadError, cached_file

HTML = b'\n<!DOCTYPE html><html>Please log in to this network</html>'


def checkpoint_bytes(**content):
    """A checkpoint that is larger than a block of a download."""
    file = io.BytesIO()
    torch.save(dict(state_dict=dict(weight=torch.ones(50_000)), **content), file)
    return file.getvalue()


CONTENT = checkpoint_bytes(meta=dict(epoch=1))
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
# As in MMPose's index, with the hash of this checkpoint.
NAME = f'rtmpose-m_simcc-body7_pt-body7_420e-256x192-{HASH}_20230504.pth'
# Names in the index without a hash.
WITHOUT_HASH = 'rtmw-dw-l-m_simcc-cocktail14_270e-256x192-20231122.pth'


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's ``answer`` says."""

    def do_GET(self):
        getattr(self, self.server.answer)()
        self.server.requests += 1

    def send(self, body, size=None):
        self.send_response(200)
        if size is not None:
            self.send_header('Content-Length', str(size))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.send(CONTENT, len(CONTENT))

    def truncated(self):
        self.send(CONTENT[:1000], len(CONTENT))

    def truncated_without_size(self):
        self.send(CONTENT[:1000])

    def interrupted(self):
        # A reset instead of the end of the connection.
        linger = struct.pack('ii', 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.truncated()
        self.wfile.flush()
        self.connection.close()

    def silent(self):
        self.server.stop.wait(20)

    def other_content(self):
        body = checkpoint_bytes(meta=dict(epoch=2))
        self.send(body, len(body))

    def html(self):
        self.send(HTML, len(HTML))

    def missing(self):
        self.send_error(404)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server whose ``answer`` can be changed, and an empty cache of torch."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as httpd:
        httpd.answer, httpd.requests, httpd.stop = 'good', 0, threading.Event()
        httpd.url = f'http://127.0.0.1:{httpd.server_port}/mmpose/v1'
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield httpd
        httpd.stop.set()
        httpd.shutdown()
        thread.join()


def load(url):
    return CheckpointLoader.load_checkpoint(url, 'cpu')


def cached():
    """Names of the files and folders in the cache, without locks."""
    folder = cached_file('')
    return {path.name for path in folder.iterdir() if path.suffix != '.lock'}


@pytest.mark.parametrize('name', [NAME, WITHOUT_HASH])
def test_downloads_once(server, name):
    url = f'{server.url}/{name}'
    assert load(url)['meta'] == dict(epoch=1)
    assert cached() == {name}
    assert cached_file(url).read_bytes() == CONTENT
    server.answer = 'missing'
    assert load(url)['meta'] == dict(epoch=1)
    assert server.requests == 1


FAILURES = {
    'truncated': r'it is incomplete, got 1,000 of [\d,]+ bytes',
    'interrupted': 'it is incomplete|Connection reset',
    'silent': 'timed out',
    'html': r"it is HTML and no checkpoint, it starts with b'<!DOCTYPE html>",
    'missing': 'HTTP Error 404: Not Found',
}


@pytest.mark.parametrize('name', [NAME, WITHOUT_HASH])
@pytest.mark.parametrize('answer', FAILURES)
def test_failed_download_leaves_nothing_and_can_be_repeated(
    server, monkeypatch, answer, name
):
    monkeypatch.setattr(download, 'TIMEOUT', 0.3)
    url = f'{server.url}/{name}'
    server.answer = answer
    with pytest.raises(DownloadError, match=FAILURES[answer]) as raised:
        load(url)
    message = str(raised.value)
    assert message.startswith(f'{url} was not downloaded: ')
    assert f'is found at {cached_file(url)}' in message
    assert "the model 'photo'" in message
    assert cached() == set()
    monkeypatch.setattr(download, 'TIMEOUT', 30)
    server.answer = 'good'
    assert load(url)['meta'] == dict(epoch=1)
    assert cached() == {name}


def test_raises_on_a_file_with_another_hash_than_in_its_name(server):
    server.answer = 'other_content'
    message = f'its SHA-256 must start with {HASH}, as in its name, got [0-9a-f]{{64}}'
    with pytest.raises(DownloadError, match=message):
        load(f'{server.url}/{NAME}')
    assert cached() == set()
    server.answer = 'good'
    assert load(f'{server.url}/{NAME}')['meta'] == dict(epoch=1)


def test_half_a_file_of_unknown_size_does_not_get_into_the_cache(server):
    server.answer = 'truncated_without_size'
    with pytest.raises(DownloadError, match='its SHA-256 must start with'):
        load(f'{server.url}/{NAME}')
    with pytest.raises(pickle.UnpicklingError, match=f'{WITHOUT_HASH} was not loaded'):
        load(f'{server.url}/{WITHOUT_HASH}')
    assert cached() == set()


def test_raises_if_nothing_listens(server):
    url = f'{server.url}/{NAME}'
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=f'{NAME} was not downloaded: .*refused'):
        load(url)
    assert cached() == set()


def test_takes_a_copy_from_elsewhere(server):
    server.answer = 'missing'
    url = f'{server.url}/{NAME}'
    cached_file(url).parent.mkdir(parents=True)
    cached_file(url).write_bytes(checkpoint_bytes(meta=dict(epoch=5)))
    assert load(url)['meta'] == dict(epoch=5)
    assert server.requests == 0


def test_error_of_a_damaged_file_in_the_cache_names_it(server):
    url = f'{server.url}/{NAME}'
    cached_file(url).parent.mkdir(parents=True)
    cached_file(url).write_bytes(CONTENT[:1000])
    with pytest.raises(pickle.UnpicklingError) as raised:
        load(url)
    assert f'{cached_file(url)} was not loaded' in str(raised.value)


def test_one_of_several_downloads(server, monkeypatch):
    # Without the registered loader, which changes an environment variable.
    plain = partial(torch.load, weights_only=True)
    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', plain)
    with ThreadPoolExecutor(4) as pool:
        urls = 4 * [f'{server.url}/{NAME}']
        loaded = [*pool.map(download.load_from_http, urls)]
    assert [content['meta'] for content in loaded] == 4 * [dict(epoch=1)]
    assert server.requests == 1


@pytest.mark.parametrize(
    ('name', 'digits'),
    [
        ('rtmpose-m_420e-256x192-e48f03d0_20230504.pth', 'e48f03d0'),
        ('faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth', '047c8118'),
        ('cascade_x101_20210706_225234-40773067.pth', '40773067'),
        ('cid_hrnet-w32_coco-512x512_42b7e6e6-20230207.pth', '42b7e6e6'),
        ('yolo-x_8xb8-300e_coco-face_13274d7c.pth', '13274d7c'),
        ('hrnet_w48_256x256-34644726_20210426.pth', '34644726'),
        (WITHOUT_HASH, None),
        ('ddq_detr_swinl_30e.pth', None),
        ('rtmpose-m_simcc-hand5_256x256-74fb594_20230320.pth', None),
        ('iter_10000000.pth', None),
        ('yolox_20200130_225234.pth', None),
    ],
)
def test_hash_in_the_file_names_of_openmmlab(name, digits):
    found = download._HASH.search(name)
    assert (found and found[1]) == digits


def test_progress_and_address_are_shown(server, capfd):
    load(f'{server.url}/{NAME}')
    error = capfd.readouterr().err
    assert re.search(r'20230504\.pth .*kB', error.replace('\n', ' ')), error
