# SPDX-License-Identifier: Apache-2.0
"""The HTML page and the script."""

import re
import shutil
import subprocess

import pytest

from rmpe_plugin.diagnosis import DiagnosedPoses, Diagnosis, ModelReport, write_page
from tests.conftest import run_command
from tests.test_diagnosis.conftest import META

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


@pytest.fixture(scope='module')
def page(files, tmp_path_factory):
    """The page of two models."""
    reports = [
        ModelReport.of(
            name,
            Diagnosis(
                DiagnosedPoses.from_files(files / name, files / 'ann.json', META)
            ),
        )
        for name in ('pred.json', 'pred2.json')
    ]
    path = tmp_path_factory.mktemp('page') / 'diagnosis.html'
    pictures = write_page(reports, files / 'images', path)
    assert not pictures.missing
    return path


def test_page_is_self_contained(page):
    html = page.read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert sources
    assert all(source.startswith(('data:image/', '#')) for source in sources)
    assert 'OKS 0.' in html
    assert 'pred2.json' in html


def test_missing_images_are_grey_and_counted(files, tmp_path):
    poses = DiagnosedPoses.from_files(files / 'pred.json', files / 'ann.json', META)
    report = ModelReport.of('a', Diagnosis(poses))
    pictures = write_page([report], tmp_path, tmp_path / 'a.html')
    assert set(pictures.missing) == {'000001.png', '000002.png'}
    assert 'data:image/jpeg' in (tmp_path / 'a.html').read_text()


def dump(page, folder, script):
    """DOM of the page after a script, in headless Chromium."""
    copy = folder / 'page.html'
    copy.write_text(page.read_text() + f'<script>{script}</script>')
    command = [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom']
    result = subprocess.run(
        [*command, copy.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def shown(dom):
    """Type, joints and model of the cards that are not hidden."""
    cards = re.findall(
        r'<figure class="card( hidden)?" data-model="([^"]*)" data-type="([^"]*)" '
        r'data-joint="([^"]*)" data-size="([^"]*)"',
        dom,
    )
    return [card[1:] for card in cards if not card[0]]


@pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed')
def test_links_and_filters_in_chromium(page, tmp_path):
    everything = shown(dump(page, tmp_path, ''))
    assert {card[1] for card in everything} >= {'inversion', 'swap', 'missed'}
    assert len({card[0] for card in everything}) == 2

    click = "document.querySelector('.type-link[data-type=swap]').click()"
    assert {card[1] for card in shown(dump(page, tmp_path, click))} == {'swap'}

    def choose(name, value):
        return (
            f"const e = document.getElementById('filter-{name}'); e.value = '{value}';"
            "e.dispatchEvent(new Event('change'));"
        )

    cards = shown(dump(page, tmp_path, choose('joint', 'left_hand')))
    assert cards
    assert all('|left_hand|' in card[2] for card in cards)
    cards = shown(dump(page, tmp_path, choose('size', 'small')))
    assert {card[1] for card in cards} == {'missed'}
    cards = shown(dump(page, tmp_path, choose('model', 'pred2.json')))
    assert {card[0] for card in cards} == {'pred2.json'}
    assert len(cards) < len(everything)


@pytest.fixture(scope='module')
def metainfo(tmp_path_factory):
    """MMPose's file that describes the keypoints."""
    names = META['keypoint_id2name']
    info = {
        i: dict(name=name, id=i, color=[0, 0, 0], type='', swap='')
        for i, name in names.items()
    }
    text = (
        "dataset_info = dict(dataset_name='five', "
        f'keypoint_info={info}, skeleton_info={{}}, '
        f'joint_weights={[1.0] * 5}, sigmas={[0.1] * 5})'
    )
    path = tmp_path_factory.mktemp('meta') / 'five.py'
    path.write_text(text)
    return path


def test_script(files, metainfo, tmp_path):
    result = run_command(
        'diagnose',
        *('--pred', files / 'pred.json', '--pred2', files / 'pred2.json'),
        *('--ann', files / 'ann.json', '--images', files / 'images'),
        *('--out', tmp_path, '--metainfo', metainfo, '--good', 0.9),
    )
    assert 'inversion' in result.stdout
    assert 'gain of AP' in result.stdout
    assert 'from a similarity of 0.9' in (tmp_path / 'diagnosis.html').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--pred', 'no.json'), 'no.json does not exist'),
        (('--close', 0.95), 'thresholds must satisfy'),
        (('--pred2', 'PRED'), 'are the same file'),
        (('--examples', 0), '--examples: must be at least 1'),
        (('--metainfo', 'configs/_base_/datasets/coco.py'), 'expected 3 x 17'),
    ],
)
def test_script_fails_on_invalid_arguments(
    files, metainfo, tmp_path, arguments, message
):
    defaults = {
        '--pred': files / 'pred.json',
        '--ann': files / 'ann.json',
        '--images': files / 'images',
        '--out': tmp_path,
        '--metainfo': metainfo,
    }
    name, value = arguments
    defaults[name] = files / 'pred.json' if value == 'PRED' else value
    flat = [x for pair in defaults.items() for x in pair]
    result = run_command('diagnose', *flat, check=False)
    assert result.returncode != 0
    assert message in result.stderr
    assert 'Traceback' not in result.stderr
    assert not list(tmp_path.iterdir())
