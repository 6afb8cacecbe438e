# SPDX-License-Identifier: Apache-2.0
"""Command lines of the scripts that work on images."""

import json
import re
import shutil
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rmpe_plugin.apis import DetectorSettings, Frames, list_images
from rmpe_plugin.cli import predict
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
    assert '000003.jpg: cannot be read as an image: Unidentified' in result.stderr
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


PHOTO, HUMAN, PERSON = ('photo', None), ('human', None), ('person', None)


@pytest.mark.parametrize(
    ('words', 'model', 'detector', 'inputs'),
    [
        ('a.jpg b.jpg --whole-image', PHOTO, PERSON, ['a.jpg', 'b.jpg']),
        ('--model human a.jpg --whole-image', HUMAN, PERSON, ['a.jpg']),
        ('human a.jpg --det human', HUMAN, HUMAN, ['a.jpg']),
        ('--det human a.jpg b.jpg', PHOTO, HUMAN, ['a.jpg', 'b.jpg']),
        ('--det human m.pth a.jpg', PHOTO, ('human', 'm.pth'), ['a.jpg']),
        ('a.jpg --det m.py m.bin b.jpg', PHOTO, ('m.py', 'm.bin'), ['a.jpg', 'b.jpg']),
        ('human m.pth a.jpg --whole-image', ('human', 'm.pth'), PERSON, ['a.jpg']),
        (
            'human https://h/m.pth a.jpg --whole-image',
            ('human', 'https://h/m.pth'),
            PERSON,
            ['a.jpg'],
        ),
        ('m.onnx a.jpg --whole-image', ('m.onnx', None), PERSON, ['a.jpg']),
        ('m.py m.bin a.jpg --whole-image', ('m.py', 'm.bin'), PERSON, ['a.jpg']),
        # A folder with the name of a model
        ('hand --whole-image', PHOTO, PERSON, ['hand']),
        ('--model hand hand --whole-image', ('hand', None), PERSON, ['hand']),
    ],
)
def test_models_and_inputs_are_told_apart(
    words, model, detector, inputs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ('a.jpg', 'b.jpg', 'hand/a.jpg', 'm.py', 'm.onnx'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    monkeypatch.setattr(sys, 'argv', ['predict', *words.split(), '--out', 'out'])
    args = predict.parse_args()
    assert (args.config, args.checkpoint) == model
    assert args.det == detector
    assert args.inputs == inputs


def parse(monkeypatch, *words):
    """Arguments of the command."""
    monkeypatch.setattr(sys, 'argv', ['predict', *map(str, words)])
    return predict.parse_args()


@pytest.mark.parametrize(
    ('option', 'expected'), [('--flip', True), ('--no-flip', False), ((), None)]
)
def test_flip_test_is_that_of_the_option_or_the_config(
    option, expected, cpn, coco_cc, monkeypatch  # noqa: F811
):  # fmt: skip
    words = [*cpn, coco_cc, '--whole-image', '--device', 'cpu']
    words += [option] if option else []
    inferencer, _ = predict.start(parse(monkeypatch, *words))
    configured = Config.fromfile(cpn[0]).model.test_cfg.flip_test
    expected = configured if expected is None else expected
    assert inferencer.estimator.model.test_cfg['flip_test'] == expected


def test_drawings_are_as_the_options_say(coco_cc, monkeypatch):
    def drawer(*options):
        seen = {}
        monkeypatch.setattr(
            predict, 'PoseDrawer', lambda *args, **kwargs: seen.update(kwargs)
        )
        monkeypatch.setattr(predict, 'PoseExporter', lambda *args: 1 / 0)
        args = parse(monkeypatch, coco_cc, '--whole-image', *options)
        with pytest.raises(ZeroDivisionError):
            predict.export(args, SimpleNamespace(dataset_meta={}), iter(()))
        return seen

    default = dict(boxes=True, black=False, color_by='keypoint')
    assert drawer() == default
    assert drawer('--no-boxes') == {**default, 'boxes': False}
    assert drawer('--skeleton-only') == {**default, 'boxes': False, 'black': True}
    assert drawer('--color-by', 'person') == {**default, 'color_by': 'person'}
    assert drawer('--track') == {**default, 'color_by': 'id'}
    options = ('--track', 'pose', '--color-by', 'keypoint')
    assert drawer(*options) == default


def test_small_boxes_are_dropped(coco_cc, monkeypatch):
    image = cv2.imread(str(coco_cc / '000000174375.jpg'))
    (people,) = predict.build_detector(parse(monkeypatch, coco_cc))([image])
    areas = (people.bboxes[:, 2:] - people.bboxes[:, :2]).prod(axis=1)
    limit = np.median(areas)
    args = parse(monkeypatch, coco_cc, '--min-box-area', limit)
    (large,) = predict.build_detector(args)([image])
    np.testing.assert_array_equal(large.bboxes, people.bboxes[areas >= limit])
    assert 0 < len(large) < len(people)


@pytest.mark.parametrize(
    ('command', 'name'),
    [('export', 'human'), ('export-detector', 'rtmdet-t'), ('detect', 'human')],
)
def test_commands_take_a_model_by_name_or_file(command, name, monkeypatch, capsys):
    module = import_module(f'rmpe_plugin.cli.{command.replace("-", "_")}')
    rest = ['--out', 'x', '--images', str(ROOT)]
    for words, expected in (([name], None), (['a.py', 'b'], 'b'), ([name, 'b'], 'b')):
        monkeypatch.setattr(sys, 'argv', [command, *words, *rest])
        args = module.parse_args()
        assert (args.config, args.checkpoint) == (words[0], expected)
    monkeypatch.setattr(sys, 'argv', [command, 'a.py', *rest])
    with pytest.raises(SystemExit):
        module.parse_args()
    assert 'the checkpoint of a.py is missing' in capsys.readouterr().err


def test_error_of_a_damaged_checkpoint_is_one_line(monkeypatch, capsys, tmp_path, cpn):  # noqa: F811
    (tmp_path / 'a.pth').write_bytes(cpn[1].read_bytes()[:1000])
    words = (cpn[0], tmp_path / 'a.pth', tmp_path, '--whole-image', '--out', 'x')
    (tmp_path / 'a.jpg').touch()
    monkeypatch.setattr(sys, 'argv', ['predict', *map(str, words)])
    assert predict.main() == 2
    assert 'a.pth was not loaded: it is damaged' in capsys.readouterr().err


@pytest.mark.slow
def test_demo_with_a_trained_model(coco_cc, tmp_path):
    pictures = (coco_cc / '000000234748.jpg', coco_cc / '000000397133.jpg')
    boxes = coco_cc / 'person_keypoints_cc.json'
    result = run_command(
        'predict',
        '--model',
        'photo',
        *pictures,
        '--boxes',
        boxes,
        '--out',
        tmp_path,
        '--format',
        'openpose-18',
    )
    assert 'onnxruntime' in result.stdout
    poses = json.loads((tmp_path / 'results.json').read_text())
    assert {pose['image_id'] for pose in poses} == {234748, 397133}
    assert all(len(pose['keypoints']) == 3 * 17 for pose in poses)
    (first, *_) = (pose for pose in poses if pose['image_id'] == 234748)
    file = tmp_path / 'openpose' / '000000234748_keypoints.json'
    person = json.loads(file.read_text())['people'][0]['pose_keypoints_2d']
    assert len(person) == 3 * 18
    # The right knee is COCO's 15th keypoint, and OpenPose's tenth.
    np.testing.assert_allclose(person[27:30], first['keypoints'][42:45])
    for picture in pictures:
        drawing = cv2.imread(str(tmp_path / picture.name))
        assert (drawing != cv2.imread(str(picture))).any()


def test_one_file_does_not_stop_the_others(coco_cc, tmp_path):
    picture = Image.open(coco_cc / '000000234748.jpg').resize((161, 121))
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    depth = Image.fromarray(np.full((40, 50), 70000, np.int32))
    depth.save(folder / 'depth.tif')
    picture.save(folder / 'good.png')
    picture.convert('L').save(folder / 'grey.pgm')
    picture.save(folder / 'film.gif', save_all=True, append_images=[depth.convert('L')])
    (folder / 'empty.mts').touch()
    result = run_command(
        'predict', '--model', 'photo', folder, '--whole-image', '--out', out,
        check=False,
    )  # fmt: skip
    assert result.returncode == 1
    skipped = [x for x in result.stderr.splitlines() if x.startswith('skipped: ')]
    assert len(skipped) == 2
    assert 'depth.tif: cannot be read as an image: ValueError: int32' in skipped[0]
    assert 'empty.mts frame 0: cannot be read' in skipped[1]
    names = {'film.mp4', 'good.png', 'grey.pgm.jpg'}
    assert names <= {path.name for path in out.iterdir()}
    poses = json.loads((out / 'results.json').read_text())
    ids = {pose['image_id'] for pose in poses}
    assert ids == {'film/0', 'film/1', 'good.png', 'grey.pgm'}
    frame, _ = Frames(out / 'film.mp4')
    assert frame.image.shape == (122, 162, 3)


def test_lists_with_addresses(coco_cc, tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    handler = partial(SimpleHTTPRequestHandler, directory=coco_cc)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        names = [f'{url}/000000234748.jpg', f'{url}/no.jpg', tmp_path / 'gone.jpg']
        names.append(coco_cc / '000000397133.jpg')
        (tmp_path / 'names.txt').write_text('\n'.join(map(str, names)))
        result = run_command(
            'predict', tmp_path / 'names.txt', '--out', tmp_path / 'out',
            '--boxes', coco_cc / 'person_keypoints_cc.json', check=False,
        )  # fmt: skip
        server.shutdown()
    assert result.returncode == 1
    assert f'skipped: {url}/no.jpg: HTTP Error 404' in result.stderr
    assert f'skipped: {tmp_path}/gone.jpg: [Errno 2]' in result.stderr
    poses = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert {pose['image_id'] for pose in poses} == {234748, 397133}
    assert (tmp_path / 'out' / '000000234748.jpg').is_file()


def test_inputs_come_from_the_standard_input(coco_cc, monkeypatch):
    monkeypatch.setattr(sys, 'stdin', StringIO(f'{coco_cc}/000000397133.jpg\n'))
    assert parse(monkeypatch, '-', '--no-boxes').frames.ids == [397133]


def test_photographs_need_no_arguments(coco_cc, tmp_path):
    """The included models, the second time with tiles."""
    picture = coco_cc / '000000174375.jpg'  # a tennis player in front of spectators
    run_command('predict', picture, '--out', tmp_path)
    poses = json.loads((tmp_path / 'results.json').read_text())
    assert len(poses) > 3
    assert all(len(pose['keypoints']) == 3 * 17 for pose in poses)
    assert (tmp_path / picture.name).is_file()
    run_command('predict', picture, '--tiles', '--no-images', '--out', tmp_path)
    assert len(json.loads((tmp_path / 'results.json').read_text())) > len(poses)


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
    assert '000003.jpg: cannot be read as an image: Unidentified' in result.stderr
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
        (('{config}', '--whole-image'), 'the checkpoint of {config} is missing'),
        (('{config}', 'x', '--whole-image'), 'inputs are missing'),
        (
            ('--model', 'rtmpse-m', '{images}', '--whole-image'),
            "no top-down pose estimator has the name 'rtmpse-m'; similar names: rtmpo",
        ),
        (
            ('rtmpse-m', '{images}', '--whole-image'),
            'rtmpse-m does not exist, and no model has this name',
        ),
        (('rtmo', '{images}', '--whole-image'), 'rtmo is no top-down pose estimator'),
        (
            ('photo', '{images}', '--det', 'humam'),
            "no object detector has the name 'humam'; similar names: human",
        ),
        (('photo', '{images}', '--det', '{config}'), 'of {config} is missing'),
        (
            ('{config}', 'x', '{images}', '--whole-image', '--box-thr', '0.5'),
            '--box-thr, --min-box-area and --tiles need a detector',
        ),
        (
            ('{images}', '--boxes', 'boxes.json', '--tiles'),
            '--box-thr, --min-box-area and --tiles need a detector',
        ),
        (
            ('{images}', '--whole-image', '--min-box-area', '9'),
            '--box-thr, --min-box-area and --tiles need a detector',
        ),
        (('no.jpg',), 'no.jpg does not exist'),
        (('{images}', '--det-every', '2'), '--det-every needs --track pose'),
        (
            ('{images}', '--track', 'ocsort', '--det-every', '2'),
            '--det-every needs --track pose',
        ),
        (
            ('{images}', '--boxes', 'x.json', '--track', '--det-every', '2'),
            '--det-every needs a detector',
        ),
        (('{images}', '--track', '--det-every', '0'), 'must be at least 1, got 0'),
        (('{images}', '--track', 'sort'), "invalid choice: 'sort'"),
        (('{images}', '--smooth'), '--smooth needs --track'),
        (('{images}', '--format', 'mot'), '--format mot needs --track'),
        (('{images}', '--color-by', 'id'), '--color-by id needs --track'),
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
        pytest.param(
            ('no.py', 'b', '--images', '{images}', '--processes', '2'),
            'no.py',
            marks=pytest.mark.slow,
        ),
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


def test_people_in_videos_have_ids(cpn, images, tmp_path):  # noqa: F811
    """The whole image is a person, so that there is one id."""
    run_command(
        'predict', *cpn, images / 'walk.mp4', '--whole-image', '--out', tmp_path,
        '--device', 'cpu', '--pose-nms', 'none',
        '--track', '--smooth', '--format', 'mot',
    )  # fmt: skip
    coco, alphapose = (
        json.loads((tmp_path / name).read_text())
        for name in ('results.json', 'alphapose-results.json')
    )
    assert [record['track_id'] for record in coco] == [1, 1, 1]
    assert [(r['image_id'], r['idx']) for r in alphapose] == [
        (f'{i}.jpg', 1) for i in range(3)
    ]
    assert (tmp_path / 'mot/walk.txt').read_text() == ''.join(
        f'{i},1,0,0,320,240,1,-1,-1,-1\n' for i in (1, 2, 3)
    )
    run_command(
        'export-lifting', tmp_path / 'results.json', '--video', images / 'walk.mp4',
        '--format', 'mhformer', '--person', 1, '--out', tmp_path / 'keypoints.npz',
    )  # fmt: skip
    poses = np.load(tmp_path / 'keypoints.npz')['reconstruction']
    assert poses.shape[:3] == (1, 3, 17)
    assert np.isfinite(poses).all()
