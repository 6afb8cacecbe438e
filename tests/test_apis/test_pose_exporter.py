# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import (
    Frame,
    Frames,
    OpenPoseWriter,
    PoseDrawer,
    PoseExporter,
    PoseResult,
)
from tests.test_apis.conftest import random_poses

IMAGE = np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture
def drawer(coco_meta):
    return PoseDrawer(coco_meta)


def test_writes_poses_images_and_videos(drawer, video, tmp_path):
    frames = [
        Frame(1, 'a/000001.png', IMAGE),
        Frame(2, 'a/000002.png', error='truncated'),
        *Frames(video),
    ]
    with PoseExporter(tmp_path / 'out', drawer) as exporter:
        for i, frame in enumerate(frames):
            assert exporter.add(PoseResult(frame, random_poses(i % 3)))
    assert exporter.failed == [frames[1]]
    assert exporter.frames == 11
    names = ['results.json', 'alphapose-results.json', '000001.png', 'walk.mp4']
    assert [path.name for path in exporter.written] == names
    coco, alphapose = (json.loads(p.read_text()) for p in exporter.written[:2])
    assert len(coco) == len(alphapose) == exporter.people
    assert exporter.people == sum(i % 3 for i in range(len(frames)) if i != 1)
    assert {record['image_id'] for record in coco} <= {1, *range(10)}
    assert cv2.imread(str(exporter.written[2])).shape == IMAGE.shape
    assert len(list(Frames(exporter.written[3]))) == 10


def test_drawings_that_cannot_be_written_are_reported(drawer, tmp_path, monkeypatch):
    def write(self, frame, image):
        if frame.name != 'good.png':
            raise OSError('could not write')

    monkeypatch.setattr('rmpe_plugin.apis.image_writer.ImageWriter.write', write)
    frames = [Frame(1, 'bad.png', IMAGE), Frame(2, 'good.png', IMAGE)]
    frames += [Frame(i, f'a.mp4 frame {i}', IMAGE, video='a.mp4') for i in range(3)]
    with PoseExporter(tmp_path, drawer) as exporter:
        for frame in frames:
            assert exporter.add(PoseResult(frame, random_poses(1)))
    failed = [(frame.name, frame.error) for frame in exporter.failed]
    assert failed == [('bad.png', 'could not write'), ('a.mp4', 'could not write')]
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 5


def test_writes_openpose_results_and_reports_those_that_cannot_be(
    drawer, coco_meta, tmp_path
):
    openpose = OpenPoseWriter(tmp_path / 'openpose', coco_meta)
    names = ['a/x.jpg', 'a/x.png', 'a/y.png']
    with PoseExporter(tmp_path, drawer, False, writer=openpose) as exporter:
        for name in names:
            exporter.add(PoseResult(Frame(name, name, IMAGE), random_poses(1)))
    assert [frame.name for frame in exporter.failed] == ['a/x.png']
    written = {path.name for path in (tmp_path / 'openpose').iterdir()}
    assert written == {'x_keypoints.json', 'y_keypoints.json'}
    assert tmp_path / 'openpose' in exporter.written
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 3


def test_poses_before_an_interrupt_are_kept(drawer, tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        PoseExporter(tmp_path, drawer, save_images=False) as exporter,
    ):
        exporter.add(PoseResult(Frame(1, 'x.png', IMAGE), random_poses(2)))
        raise KeyboardInterrupt
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 2
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'results.json', 'alphapose-results.json'}


def test_window_is_shown_until_q_is_pressed(drawer, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(cv2, 'imshow', lambda title, image: shown.append(image))
    monkeypatch.setattr(
        cv2, 'waitKey', lambda delay: ord('q') if len(shown) == 2 else -1
    )
    with PoseExporter(tmp_path, drawer, save_images=False, show=True) as exporter:
        proceed = [
            exporter.add(PoseResult(Frame(i, f'array {i}', IMAGE), random_poses(1)))
            for i in range(2)
        ]
    assert proceed == [True, False]
    assert [image.shape for image in shown] == [IMAGE.shape] * 2
    records = json.loads((tmp_path / 'results.json').read_text())
    assert {record['image_id'] for record in records} == {0, 1}
    assert len(list(tmp_path.iterdir())) == 2
