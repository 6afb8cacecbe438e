# SPDX-License-Identifier: Apache-2.0
"""The demos and the Space on a photograph."""

import importlib
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import (
    RMPEInferencer,
    cached_onnx,
    find_model,
    load_detector,
)
from rmpe_plugin.apis.pose_estimator import load_config
from tests.conftest import ROOT
from tests.processes import run_script
from tests.test_architecture import imported_names

PHOTOGRAPH = '000000174375.jpg'
WEIGHTS = ROOT / 'rmpe_plugin' / 'weights'


def run_demo(name, *args):
    return run_script(ROOT / 'demo' / f'{name}.py', *args)


@pytest.fixture(scope='module')
def image(coco_cc):
    return cv2.imread(str(coco_cc / PHOTOGRAPH))


@pytest.fixture
def space(tmp_path, monkeypatch):
    """The Space with its detector."""
    shutil.copytree(ROOT / 'demo' / 'space', tmp_path, dirs_exist_ok=True)
    shutil.copy(WEIGHTS / 'nanodet_416_fp16.onnx', tmp_path / 'detector.onnx')
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ('app', 'poses'):
        sys.modules.pop(name, None)


@pytest.fixture
def folder(space):
    """The Space with all files that its README collects."""
    config, weights = find_model('photo')
    shutil.copy(cached_onnx(load_config(config), weights), space / 'pose.onnx')
    return space


@pytest.mark.parametrize('name', ['image_demo', 'video_demo'])
def test_help_has_an_example(name):
    result = run_demo(name, '--help')
    assert result.returncode == 0, result.stderr
    assert f'python demo/{name}.py' in result.stdout


def test_image_demo_draws_people_and_skips_other_files(coco_cc, image, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no image')
    out = tmp_path / 'out'
    result = run_demo('image_demo', broken, coco_cc / PHOTOGRAPH, '--out', out)
    assert result.returncode == 0, result.stderr
    assert 'skipped' in result.stdout and 'broken.jpg' in result.stdout
    assert f'{PHOTOGRAPH}: ' in result.stdout and 'people' in result.stdout
    (path,) = out.iterdir()
    assert np.abs(cv2.imread(str(path)).astype(int) - image).max() > 100


def test_video_demo_draws_each_frame_and_keeps_ids(image, tmp_path):
    video, out = tmp_path / 'walk.mp4', tmp_path / 'out'
    size = image.shape[1::-1]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'mp4v'), 25, size)
    for shift in range(3):
        writer.write(np.roll(image, shift, axis=1))
    writer.release()
    result = run_demo('video_demo', video, '--out', out)
    assert result.returncode == 0, result.stderr
    ids = [line for line in result.stdout.splitlines() if ': ids ' in line]
    assert len(ids) == 3
    assert all('1' in line.partition(': ids ')[2] for line in ids)
    capture = cv2.VideoCapture(str(out / 'walk.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.parametrize('name', ['image_demo', 'video_demo'])
def test_demos_do_not_overwrite_their_input(name, coco_cc):
    result = run_demo(name, coco_cc / PHOTOGRAPH, '--out', coco_cc)
    assert result.returncode == 2
    assert 'would be overwritten' in result.stderr


def test_space_detects_the_same_people(space, image):
    poses = importlib.import_module('poses')
    boxes = poses.PersonDetector(space / 'detector.onnx')(image, 0.35)
    (people,) = load_detector('person')([image])
    assert len(people) > 2
    np.testing.assert_allclose(boxes, people.bboxes, atol=0.01)


def test_space_detects_nobody_in_a_black_image(space, image):
    detector = importlib.import_module('poses').PersonDetector(space / 'detector.onnx')
    assert detector(np.zeros_like(image), 0.35).shape == (0, 4)


def test_space_estimates_the_same_poses(folder, image):
    poses = importlib.import_module('poses')
    estimator = poses.PoseEstimator(folder / 'pose.onnx')
    boxes = np.array([[272.0, 161, 349, 353], [523, 165, 551, 228]])
    keypoints, scores = estimator(image, boxes)
    inferencer = RMPEInferencer(folder / 'pose.onnx', pose_nms=None)
    ((_, expected),) = inferencer(image, [boxes])
    expected = expected.pred_instances
    order = np.argsort(expected.bboxes[:, 0])
    np.testing.assert_allclose(scores, expected.keypoint_scores[order], atol=0.02)
    confident = scores > 0.3
    assert confident.sum() > 10
    errors = np.linalg.norm(keypoints - expected.keypoints[order], axis=-1)
    assert errors[confident].max() < 1


def test_space_raises_on_missing_and_other_files(space):
    poses = importlib.import_module('poses')
    with pytest.raises(FileNotFoundError, match='none.onnx is missing: README.md'):
        poses.PersonDetector(space / 'none.onnx')
    with pytest.raises(ValueError, match='not a pose estimator of rmpe export'):
        poses.PoseEstimator(space / 'detector.onnx')


def test_page_of_the_space(folder, image):
    gradio = pytest.importorskip('gradio')
    app = importlib.import_module('app')
    drawing, people = app.predict(image[..., ::-1], 0.35, 0.3)
    assert drawing.shape == image.shape
    assert np.abs(drawing.astype(int) - image[..., ::-1]).max() > 100
    names = set(app.estimator.meta['keypoint_names'])
    assert len(people) > 2
    assert all(set(person['keypoints']) == names for person in people)
    for photograph, threshold, message in (
        (None, 0.35, 'Choose a photograph'),
        (np.zeros_like(image), 0.9, 'no person'),
    ):
        with pytest.raises(gradio.Error, match=message):
            app.predict(photograph, threshold, 0.3)
    assert not app.demo.analytics_enabled


def test_space_imports_its_requirements_only():
    names = {
        name.partition('.')[0]
        for file in ('app.py', 'poses.py')
        for name in imported_names(Path('demo/space', file))
    }
    requirements = (ROOT / 'demo/space/requirements.txt').read_text()
    required = requirements.replace('opencv-python-headless', 'cv2').split()
    assert names - {'poses'} - sys.stdlib_module_names == set(required)
