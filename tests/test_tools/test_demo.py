# SPDX-License-Identifier: Apache-2.0
"""The tools that work on pictures, as a user runs them."""

import json
import re
import shutil
import sys

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT, load_module, run_tool
from tests.test_apis.conftest import cpn, detector_files  # noqa: F401


@pytest.fixture(scope='module')
def pictures(synthetic, tmp_path_factory):
    """Two pictures, one that is broken, and a video."""
    folder = tmp_path_factory.mktemp('pictures')
    for name in ('000001.jpg', '000002.jpg'):
        shutil.copy(synthetic / 'val' / name, folder)
    (folder / '000003.jpg').write_bytes(b'broken')
    video = cv2.VideoWriter(
        str(folder / 'walk.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (320, 240)
    )
    image = cv2.imread(str(folder / '000001.jpg'))
    for i in range(3):
        video.write(np.roll(image, 5 * i, axis=1))
    video.release()
    return folder


@pytest.mark.slow
def test_finishes_what_can_be_read_and_says_what_cannot(
    cpn, detector_files, pictures, tmp_path  # noqa: F811
):  # fmt: skip
    result = run_tool(
        'demo.py',
        *(*cpn, pictures, '--out', tmp_path, '--det', *detector_files),
        *('--device', 'cpu', '--box-thr', 0, '--pose-nms', 'none'),
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert 'passed over' in result.stderr
    assert '000003.jpg: UnidentifiedImageError' in result.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        '000001.jpg',
        '000002.jpg',
        'walk.mp4',
        'results.json',
        'alphapose-results.json',
    }
    poses = json.loads((tmp_path / 'results.json').read_text())
    assert f'{len(poses)} people' in result.stdout
    assert {p['image_id'] for p in poses} == {1, 2, 'walk/0', 'walk/1', 'walk/2'}
    alphapose = json.loads((tmp_path / 'alphapose-results.json').read_text())
    assert len(alphapose) == len(poses)
    assert {p['image_id'] for p in alphapose} >= {'000001.jpg', 'walk/2.jpg'}
    drawn = cv2.imread(str(tmp_path / '000001.jpg'))
    assert (drawn != cv2.imread(str(pictures / '000001.jpg'))).any()
    assert cv2.VideoCapture(str(tmp_path / 'walk.mp4')).get(cv2.CAP_PROP_FPS) == 10


def test_a_window_until_q_is_pressed(cpn, pictures, tmp_path, monkeypatch):  # noqa: F811
    shown = []
    monkeypatch.setattr(cv2, 'imshow', lambda title, picture: shown.append(picture))
    monkeypatch.setattr(
        cv2, 'waitKey', lambda wait: ord('q') if len(shown) == 2 else -1
    )
    arguments = (*cpn, pictures / 'walk.mp4', '--whole-image', '--out', tmp_path)
    arguments += ('--show', '--no-pictures', '--device', 'cpu')
    monkeypatch.setattr(sys, 'argv', ['demo.py', *map(str, arguments)])
    assert load_module(ROOT / 'tools' / 'demo.py').main() == 0
    assert [picture.shape for picture in shown] == [(240, 320, 3)] * 2
    poses = json.loads((tmp_path / 'results.json').read_text())
    assert {p['image_id'] for p in poses} == {0, 1}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_boxes_that_were_detected_before(
    cpn, detector_files, synthetic, tmp_path  # noqa: F811
):  # fmt: skip
    truths = synthetic / 'annotations' / 'person_keypoints_val.json'
    arguments = (*detector_files, '--images', synthetic / 'val', '--device', 'cpu')
    arguments += ('--score-thr', 0)
    boxes = tmp_path / 'boxes.json'
    result = run_tool(
        'detect_people.py', *arguments, '--ann', truths, '--out', boxes, '--top-k', 3
    )
    assert 'person box AP: ' in result.stdout
    found = json.loads(boxes.read_text())
    images = [image['id'] for image in json.loads(truths.read_text())['images']]
    assert [b['image_id'] for b in found] == np.repeat(images, 3).tolist()
    assert {b['category_id'] for b in found} == {1}

    # ids of a folder's pictures are those of COCO; several processes; what was done
    again = tmp_path / 'again.json'
    notes = tmp_path / 'again.json.notes'
    settings = dict(
        zip(('config', 'checkpoint'), map(str, detector_files), strict=True)
    )
    settings |= dict(score_thr='0.0', top_k='3')
    done = dict(image_id=images[0], boxes=[dict(found[0], score=9.0)])
    notes.write_text(
        f'{json.dumps(settings)}\n{json.dumps(done)}\n{{"image_id": 2, "bo'
    )
    result = run_tool(
        'detect_people.py', *arguments, '--out', again, '--top-k', 3, '--processes', 2
    )
    assert f'1 of {len(images)} images were done before' in result.stdout
    assert not notes.exists()
    expected = [dict(found[0], score=9.0), *found[3:]]
    for one, other in zip(json.loads(again.read_text()), expected, strict=True):
        assert one['image_id'] == other['image_id']
        np.testing.assert_allclose(one['bbox'], other['bbox'], atol=0.05)

    lines = (dict(settings, top_k='7'), done)
    notes.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    result = run_tool(
        'detect_people.py', *arguments, '--out', again, '--top-k', 3, check=False
    )
    assert result.returncode == 2
    assert 'begun with other settings' in result.stderr
    assert 'give these again, or delete it' in result.stderr

    run_tool(
        'demo.py',
        *(*cpn, synthetic / 'val', '--boxes', boxes, '--out', tmp_path / 'demo'),
        *('--device', 'cpu', '--no-pictures', '--pose-nms', 'none'),
    )
    poses = json.loads((tmp_path / 'demo' / 'results.json').read_text())
    assert len(poses) == len(found)
    assert len(list((tmp_path / 'demo').iterdir())) == 2


HAND = dict(id=7, image_id=1, bbox=[0, 0, 2, 2], area=4, iscrowd=0)


@pytest.mark.parametrize(
    ('truths', 'found', 'message'),
    [
        (
            [dict(id=7, image_id=1, bbox=[0, 0, 2, 2])],
            [],
            r'no AP: .* annotation 0 \(id 7\) has no area, category_id, isc',
        ),
        ([], [dict()], 'no AP: .*ann.json has no people'),
        ([dict(HAND, category_id=2)], [dict()], 'no AP: .*ann.json has no people'),
        (
            [dict(HAND, category_id=1)],
            [],
            'AP: 0.000, nobody',
        ),
    ],
)
def test_says_why_there_is_no_ap(truths, found, message, tmp_path, capsys):
    tool = load_module(ROOT / 'tools' / 'detect_people.py')
    paths = tmp_path / 'ann.json', tmp_path / 'boxes.json'
    contents = dict(images=[], annotations=truths), found
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    tool.print_ap(*paths)
    assert re.search(message, capsys.readouterr().out)


@pytest.mark.slow
def test_detects_what_can_be_read(detector_files, pictures, tmp_path):  # noqa: F811
    out = tmp_path / 'boxes.json'
    result = run_tool(
        'detect_people.py',
        *(*detector_files, '--images', pictures, '--out', out, '--device', 'cpu'),
        *('--score-thr', 0),
        check=False,
    )
    assert result.returncode == 1
    assert 'passed over' in result.stderr
    assert '000003.jpg' in result.stderr
    assert {b['image_id'] for b in json.loads(out.read_text())} == {1, 2}


@pytest.mark.slow
def test_draws_the_whole_way(detector_files, pictures, tmp_path):  # noqa: F811
    from tests.test_apis.conftest import save_untrained

    config = ROOT / 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'
    checkpoint = tmp_path / 'sstn.pth'
    options = ['model.stn.backbone.init_cfg=None']
    save_untrained(config, checkpoint, 'mmpose')
    arguments = (config, checkpoint, pictures / '000001.jpg', '--device', 'cpu')
    out = tmp_path / 'new' / 'sheet.png'
    run_tool(
        'visualize_pipeline.py',
        *(*arguments, '--det', *detector_files, '--box-thr', 0, '--out', out),
        *('--num', 2, '--cfg-options', *options),
    )
    sheet = cv2.imread(str(out))
    # five pictures of a crop of 96x128, twice as large, in their frames, two rows
    assert sheet.shape[1] == 5 * 240
    assert sheet.shape[0] == 24 + 300 + 24 + 2 * 320


@pytest.fixture
def fails(monkeypatch, capsys):
    """Run a tool that must exit with 2, and give what it says."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        try:
            code = load_module(ROOT / 'tools' / name).main()
        except SystemExit as error:
            code = error.code
        assert code == 2
        return capsys.readouterr().err

    return run


def test_demo_says_what_is_wrong(cpn, pictures, tmp_path, fails):  # noqa: F811
    config, checkpoint = cpn
    whole = ('--whole-image', '--out', tmp_path)
    assert 'no.py does not exist' in fails('demo.py', 'no.py', 'x', 'y', *whole)
    missing = tmp_path / 'no.jpg'
    assert 'no.jpg does not exist' in fails(
        'demo.py', config, checkpoint, missing, *whole
    )
    arguments = ('demo.py', config, checkpoint, pictures)
    overwritten = fails(*arguments, '--whole-image', '--out', pictures)
    assert 'would be overwritten' in overwritten
    assert 'required' in fails(*arguments, '--out', 'x')
    preset = fails(*arguments, *whole, '--pose-nms', 'coco')
    assert "pose_nms must be 'rmpe-paper'" in preset


def test_detect_people_says_what_is_wrong(pictures, tmp_path, fails):
    out = ('--out', tmp_path / 'x.json')
    assert '--ann or --images must be given' in fails(
        'detect_people.py', 'a', 'b', *out
    )
    images = ('--images', pictures)
    top_k = fails('detect_people.py', 'a', 'b', *images, *out, '--top-k', 0)
    assert '--top-k must be at least 1' in top_k
    assert 'no.py' in fails('detect_people.py', 'no.py', 'b', *images, *out)


@pytest.mark.slow
def test_an_error_in_a_process_ends_all(pictures, tmp_path):
    arguments = ('no.py', 'b', '--images', pictures, '--out', tmp_path / 'x.json')
    result = run_tool('detect_people.py', *arguments, '--processes', 2, check=False)
    assert result.returncode == 2
    assert 'no.py' in result.stderr
    assert 'Traceback' not in result.stderr
