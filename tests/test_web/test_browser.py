# SPDX-License-Identifier: Apache-2.0
"""The page in a browser without a window."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

playwright = pytest.importorskip('playwright.sync_api', reason='needs playwright')
pytest.importorskip('gradio', reason='needs the extra web')

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)
PEOPLE = re.compile(r'People.*: \d+')
WAIT = 120_000  # milliseconds
# Chromium's sandbox needs rights that containers do not give.
SANDBOX = ['--no-sandbox']

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium'),
]


@pytest.fixture(scope='module')
def server(coco_cc, tmp_path_factory):
    """Address of the page, and its folder of temporary files."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp('temporary')
    command = [sys.executable, str(ROOT / 'rmpe.py'), 'web', '--port', str(port)]
    process = subprocess.Popen(
        [*command, '--examples', str(coco_cc), '--max-frames', '10'],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'TMPDIR': str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    address = f'http://127.0.0.1:{port}/'
    assert any(address in line for line in process.stdout)
    yield address, folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(180) == 0
    assert not [*folder.glob('rmpe-web-*')]


@pytest.fixture(scope='module')
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SANDBOX)
        yield chromium
        chromium.close()


@pytest.fixture(
    params=[dict(width=1280, height=900), dict(width=360, height=740)],
    ids=['desktop', 'phone'],
)
def page(server, browser, request):
    """The open page; it requests nothing from other hosts."""
    page = browser.new_page(viewport=request.param)
    page.set_default_timeout(WAIT)
    requests = []
    page.on('request', lambda request: requests.append(request.url))
    page.goto(server[0])
    page.get_by_role('button', name='Predict poses').wait_for()
    yield page
    # Nothing is wider than the window.
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.close()
    own = (server[0], 'data:', 'blob:')
    assert [url for url in requests if not url.startswith(own)] == []


def upload(page, path):
    clear = page.get_by_label('Clear').first
    if clear.is_visible():
        clear.click()
    page.set_input_files('input[type=file]', str(path))


def test_upload_results_download_and_a_broken_file(page, coco_cc, tmp_path):
    upload(page, coco_cc / '000000129648.jpg')
    page.get_by_text(PEOPLE).wait_for()
    picture = page.locator('.result img').first
    picture.wait_for()
    assert picture.evaluate('image => image.decode().then(() => image.naturalWidth)')
    with page.expect_download() as download:
        page.locator("a[download='results.json']").first.click()
    records = json.loads(Path(download.value.path()).read_text())
    assert page.get_by_text(f'People: {len(records)}').is_visible()

    page.get_by_label('Without pose NMS beside it').check()
    page.get_by_role('button', name='Predict poses').click()
    page.get_by_text('without pose NMS: ').wait_for()
    assert page.locator('.result img').count() == 2

    broken = tmp_path / 'broken.jpg'
    broken.write_text('text')
    upload(page, broken)
    page.get_by_text('broken.jpg: cannot be read as an image').wait_for()
    assert not page.locator('.result img').first.is_visible()


def test_examples_and_a_video(page, coco_cc, tmp_path):
    page.locator('.gallery-item').first.click()
    page.get_by_text(PEOPLE).wait_for()
    assert page.get_by_role('link', name='Attribution License').is_visible()
    video = write_photograph(coco_cc / '000000234748.jpg', tmp_path / 'walk.mp4')
    page.get_by_label('Ids in videos').check()
    upload(page, video)
    page.get_by_text('People in 4 frames: 4').wait_for()
    shown = page.locator('.result video').first
    shown.wait_for()
    page.wait_for_function('video => video.videoWidth > 0', arg=shown.element_handle())


def write_photograph(photograph, path):
    """Write a video of four equal frames."""
    import cv2

    image = cv2.imread(str(photograph))[:424]
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(path), codec, 10, image.shape[1::-1])
    for _ in range(4):
        writer.write(image)
    writer.release()
    return path
