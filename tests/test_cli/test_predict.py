# SPDX-License-Identifier: Apache-2.0
"""Command lines of the scripts that work on images."""

import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import DetectorSettings, list_images
from tests.conftest import ROOT, run_command, run_experiment
from tests.test_apis.conftest import (  # noqa: F401
    cpn,
    detector_files,
    interrupt_detection,
    save_untrained,
)


@pytest.fixture(scope='module')
def images(synthetic, tmp_path_factory):
    """A folder with two images, a broken image and a video."""
    folder = tmp_path_factory.mktemp('images')
    for name in ('000001.jpg', '000002.jpg'):
        shutil.copy(synthetic / 'val' / name, folder)
    (folder / '000003.jpg').write_bytes(b'broken')
    video = cv2.VideoWriter(
        str(folder / 'walk.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 10, (320, 240)
    )
    image = cv2.imread(str(folder / '000001.jpg'))
    for i in range(3):
        video.write(np.roll(image, 5 * i, axis=1))
    video.release()
    return folder


def assert_row(text, *values):
    """Assert that a printed table has a row of these values."""
    row = r'\s*│\s*'.join(map(str, values))
    assert re.search(rf'│\s*{row}\s*│', text), text


@pytest.mark.slow
def test_demo_exports_readable_inputs_and_reports_the_others(
    cpn, detector_files, images, tmp_path  # noqa: F811
):  # fmt: skip
    result = run_command(
        'predict',
        *(*cpn, images, '--out', tmp_path, '--det', *detector_files),
        *('--device', 'cpu', '--box-thr', 0, '--pose-nms', 'none'),
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert 'skipped: ' in result.stderr
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
    assert_row(result.stdout, 5, len(poses), 1)
    assert f'{len(poses)} people' in result.stdout
    assert {p['image_id'] for p in poses} == {1, 2, 'walk/0', 'walk/1', 'walk/2'}
    alphapose = json.loads((tmp_path / 'alphapose-results.json').read_text())
    assert len(alphapose) == len(poses)
    assert {p['image_id'] for p in alphapose} >= {'000001.jpg', 'walk/2.jpg'}
    drawing = cv2.imread(str(tmp_path / '000001.jpg'))
    assert (drawing != cv2.imread(str(images / '000001.jpg'))).any()
    assert cv2.VideoCapture(str(tmp_path / 'walk.mp4')).get(cv2.CAP_PROP_FPS) == 10


def test_demo_with_a_trained_model(coco_cc, tmp_path):
    pictures = (coco_cc / '000000234748.jpg', coco_cc / '000000397133.jpg')
    boxes = coco_cc / 'person_keypoints_cc.json'
    result = run_command(
        'predict', '--model', 'photo', *pictures, '--boxes', boxes, '--out', tmp_path
    )
    assert 'onnxruntime' in result.stdout
    poses = json.loads((tmp_path / 'results.json').read_text())
    assert {pose['image_id'] for pose in poses} == {234748, 397133}
    assert all(len(pose['keypoints']) == 3 * 14 for pose in poses)
    for picture in pictures:
        drawing = cv2.imread(str(tmp_path / picture.name))
        assert (drawing != cv2.imread(str(picture))).any()


@pytest.mark.slow
def test_detect_people_writes_boxes_for_the_demo(
    cpn, detector_files, synthetic, tmp_path  # noqa: F811
):  # fmt: skip
    annotations = synthetic / 'annotations' / 'person_keypoints_val.json'
    arguments = (*detector_files, '--images', synthetic / 'val', '--device', 'cpu')
    arguments += ('--score-thr', 0, '--top-k', 3)
    boxes = tmp_path / 'boxes.json'
    result = run_command('detect', *arguments, '--ann', annotations, '--out', boxes)
    assert 'person box AP: ' in result.stdout
    records = json.loads(boxes.read_text())
    images = [image['id'] for image in json.loads(annotations.read_text())['images']]
    assert [r['image_id'] for r in records] == np.repeat(images, 3).tolist()
    assert {r['category_id'] for r in records} == {1}
    assert_row(result.stdout, len(images), 0, 0, len(records))

    run_command(
        'predict',
        *(*cpn, synthetic / 'val', '--boxes', boxes, '--out', tmp_path / 'demo'),
        *('--device', 'cpu', '--no-images', '--pose-nms', 'none'),
    )
    poses = json.loads((tmp_path / 'demo' / 'results.json').read_text())
    assert len(poses) == len(records)
    assert len(list((tmp_path / 'demo').iterdir())) == 2


@pytest.mark.slow
def test_detect_people_resumes_and_reports_unreadable_images(
    detector_files, images, tmp_path  # noqa: F811
):  # fmt: skip
    out, journal = tmp_path / 'boxes.json', tmp_path / 'boxes.json.journal.jsonl'
    arguments = (*detector_files, '--images', images, '--out', out, '--device', 'cpu')
    arguments += ('--score-thr', 0, '--top-k', 3)
    config, checkpoint = map(str, detector_files)
    box = dict(image_id=1, category_id=1, bbox=[1, 2, 3, 4], score=9.0)
    files = list_images(None, images)
    settings = DetectorSettings(config, checkpoint, top_k=3)
    interrupt_detection(files, settings, out)
    header, _ = journal.read_text().splitlines()
    record = json.dumps(dict(image_id=1, boxes=[box]))
    journal.write_text(f'{header}\n{record}\n{{"imag')  # cut off
    # Annotations without boxes: the AP cannot be computed.
    annotations = tmp_path / 'annotations.json'
    listed = [dict(id=i, file_name=f'{i:06}.jpg') for i in (1, 2, 3)]
    annotations.write_text(json.dumps(dict(images=listed, annotations=[])))
    result = run_command(
        'detect',
        *(*arguments, '--ann', annotations, '--processes', 2),
        check=False,
    )
    assert result.returncode == 1
    assert '1 of 3 images are in' in result.stdout
    assert_row(result.stdout, 3, 1, 1, 4)
    assert f'no AP: {annotations} has no annotated people' in result.stdout
    assert 'skipped: ' in result.stderr
    assert '000003.jpg: UnidentifiedImageError' in result.stderr
    records = json.loads(out.read_text())
    assert [record['image_id'] for record in records] == [1, 2, 2, 2]
    assert records[0] == box
    assert not journal.exists()

    interrupt_detection(files, replace(settings, top_k=7), out)
    result = run_command('detect', *arguments, check=False)
    assert result.returncode == 2
    assert 'other settings' in result.stderr
    assert 'delete the file' in result.stderr


@pytest.mark.slow
def test_visualize_pipeline_writes_a_sheet(detector_files, images, tmp_path):  # noqa: F811
    config = ROOT / 'configs/quickstart/td-hm_cpn-res18_sstn_synthetic-128x96.py'
    checkpoint = tmp_path / 'sstn.pth'
    options = ['model.stn.backbone.init_cfg=None']
    save_untrained(config, checkpoint, 'mmpose')
    arguments = (config, checkpoint, images / '000001.jpg', '--device', 'cpu')
    out = tmp_path / 'new' / 'sheet.png'
    run_experiment(
        'visualize_pipeline',
        *(*arguments, '--det', *detector_files, '--box-thr', 0, '--out', out),
        *('--num', 2, '--cfg-options', *options),
    )
    sheet = cv2.imread(str(out))
    # Two rows of five images: crops of 96x128 at twice their size, with margins.
    assert sheet.shape[1] == 5 * 240
    assert sheet.shape[0] == 24 + 300 + 24 + 2 * 320


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('no.py', 'x', 'y', '--whole-image'), 'no.py does not exist'),
        (('{config}', 'x', 'no.jpg', '--whole-image'), 'no.jpg does not exist'),
        (
            ('{config}', 'x', '{images}', '--whole-image', '--out', '{images}'),
            'would be overwritten',
        ),
        (('{config}', 'x', '{images}'), 'is required'),
        (('{config}', '--whole-image'), 'the checkpoint of {config} is missing'),
        (('{config}', 'x', '--whole-image'), 'inputs are missing'),
        (
            ('--model', 'x', '{images}', '--whole-image'),
            'no trained model has the alias',
        ),
        (
            ('{config}', 'x', '{images}', '--whole-image', '--box-thr', '0.5'),
            '--box-thr needs --det',
        ),
        (
            (
                *('{config}', '{checkpoint}', '{images}', '--whole-image'),
                *('--pose-nms', 'coco'),
            ),
            "pose_nms must be 'rmpe-paper'",
        ),
    ],
)
def test_demo_fails_on_invalid_arguments(
    cpn, images, tmp_path, arguments, message  # noqa: F811
):  # fmt: skip
    config, checkpoint = cpn
    names = dict(config=config, checkpoint=checkpoint, images=images)
    # argparse uses the last --out.
    arguments = ('--out', tmp_path, *(a.format(**names) for a in arguments))
    result = run_command('predict', *arguments, check=False)
    assert result.returncode == 2
    assert message.format(**names) in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('a', 'b'), '--ann or --images must be given'),
        (
            ('a', 'b', '--images', '{images}', '--top-k', '0'),
            '--top-k: must be at least 1',
        ),
        (('no.py', 'b', '--images', '{images}'), 'no.py'),
        (('no.py', 'b', '--images', '{images}', '--processes', '2'), 'no.py'),
    ],
)
def test_detect_people_fails_on_invalid_arguments(images, tmp_path, arguments, message):
    arguments = [argument.format(images=images) for argument in arguments]
    out = ('--out', tmp_path / 'x.json')
    result = run_command('detect', *arguments, *out, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


def test_poses_of_a_video_are_exported_for_lifting(cpn, images, tmp_path):  # noqa: F811
    video, out = images / 'walk.mp4', tmp_path / 'keypoints.npz'
    run_command(
        'predict', *cpn, video, '--whole-image', '--out', tmp_path,
        '--device', 'cpu', '--pose-nms', 'none', '--no-images',
    )  # fmt: skip
    run_command(
        'export-lifting', tmp_path / 'results.json', '--video', video,
        '--format', 'motionagformer', '--out', out,
    )  # fmt: skip
    poses = np.load(out)['reconstruction']
    assert poses.shape == (1, 3, 17, 3)
    assert np.isfinite(poses).all()
