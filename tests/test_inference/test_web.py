# SPDX-License-Identifier: Apache-2.0
"""Images and streams by address, from a server on this machine."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from PIL import Image

from rmpe_plugin.inference import Frames, web

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and files that are cut off or never come."""

    def do_GET(self):
        if 'silent' in self.path:
            self.server.stop.wait(20)
        elif 'drip' in self.path:
            self.send_response(200)
            self.end_headers()
            while not self.server.stop.wait(0.05):
                self.wfile.write(b'x')
        else:
            super().do_GET()

    def copyfile(self, source, outputfile):
        content = source.read()
        if 'cut' in self.path:
            content = content[: len(content) // 2]
        outputfile.write(content)

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client has closed the connection
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server of files."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    write_files(tmp_path)

    def handler(*args):
        return Handler(*args, directory=tmp_path)

    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as httpd:
        httpd.stop = threading.Event()
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{httpd.server_port}'
        httpd.stop.set()
        httpd.shutdown()
        thread.join()


def write_files(folder):
    for name in ('7.png', 'cut.png', 'ä b.png', 'large.png'):
        Image.fromarray(IMAGE[..., ::-1]).save(folder / name)
    (folder / 'page.jpg').write_bytes(b'<!DOCTYPE html><html>Log in</html>')
    frames = [Image.fromarray(np.full((9, 9), i, np.uint8)) for i in (0, 99)]
    frames[0].save(folder / 'film.gif', save_all=True, append_images=frames[1:])
    for name in ('film.avi', 'cut.avi'):
        codec = cv2.VideoWriter.fourcc(*'MJPG')
        video = cv2.VideoWriter(str(folder / name), codec, 10, (80, 60))
        for i in range(12):
            video.write(np.roll(IMAGE, i, axis=1))
        video.release()


def test_images_are_read_by_address(server):
    secret = f'{server}/7.png?token=secret'
    first, second = Frames([secret, f'{server}/ä b.png'])
    assert (first.image_id, first.name) == (7, f'{server}/7.png')
    assert second.image_id == 'ä b.png'
    for frame in (first, second):
        np.testing.assert_array_equal(frame.image, IMAGE)


FAILURES = {
    'missing.png': 'HTTP Error 404',
    'cut.png': r'it is incomplete, got [\d,]+ of [\d,]+ bytes',
    'page.jpg': 'cannot be read as an image: UnidentifiedImageError: its format',
    'film.gif': 'an animation by address is unsupported',
    'silent.png': 'timed out',
    'drip.png': 'it was not complete after 0.3 seconds',
    'large.png': 'it is larger than 20,000 bytes',
}


def test_a_failed_image_does_not_stop_the_others(server, tmp_path, monkeypatch):
    monkeypatch.setattr(web, 'TIMEOUT', 0.3)
    monkeypatch.setattr(web, 'MAX_SECONDS', 0.3)
    monkeypatch.setattr(web, 'MAX_BYTES', 20_000)
    (tmp_path / 'large.png').write_bytes(bytes(20_001))
    urls = [f'{server}/{name}' for name in FAILURES]
    urls += ['http://127.0.0.1:1/refused.png', 'http://127.0.0.1:x/port.png']
    urls += [server.replace('//', '//user:password@') + '/login.png']
    *failed, good = Frames([*urls, f'{server}/7.png'])
    assert good.image is not None
    errors = [*FAILURES.values(), 'Connection refused', 'port', 'a user and a password']
    for frame, error in zip(failed, errors, strict=True):
        assert frame.image is None
        with pytest.raises(OSError, match=error):
            raise OSError(frame.error)
    assert not any('password@' in frame.name + frame.error for frame in failed)


def test_streams_are_read_by_address(server):
    frames = Frames(f'{server}/film.avi?token=secret')
    assert frames.number is None
    assert frames.paths == []
    read = list(frames)
    assert [frame.image_id for frame in read] == [*range(12)]
    assert [frame.error for frame in read] == [''] * 12
    assert {frame.video for frame in read} == {f'{server}/film.avi'}
    assert {frame.fps for frame in read} == {10}
    assert np.abs(read[0].image.astype(int) - IMAGE).mean() < 60


def test_streams_that_end_early_or_do_not_exist_are_reported(server):
    urls = [f'{server}/{name}' for name in ('cut.avi', 'no.mp4', 'film.avi')]
    frames = list(Frames([*urls, 'rtsp://user:password@127.0.0.1:1/live']))
    errors = {frame.video: frame.error for frame in frames if frame.error}
    number = sum(frame.video == urls[0] for frame in frames) - 1
    assert 0 < number < 12
    assert errors == {
        urls[0]: f'the stream ended early: {number} frames were decoded',
        urls[1]: 'cannot be opened, or has no frames',
        'rtsp://127.0.0.1:1/live': 'cannot be opened, or has no frames',
    }
    assert [frame.image_id for frame in frames if frame.video == urls[2]] == [
        f'film/{i}' for i in range(12)
    ]
