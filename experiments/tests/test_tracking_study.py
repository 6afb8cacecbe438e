# SPDX-License-Identifier: Apache-2.0
"""Tests of the study of trackers, without trained models."""

import json

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from PIL import Image

from experiments.tracking import __main__ as program
from experiments.tracking import data, det_every, methods, study
from experiments.tracking.animation import write_animation
from rmpe_plugin.structures import AnnotatedVideo

VIDEOS = 2


@pytest.fixture
def trackers():
    return pytest.importorskip('trackers')


@pytest.fixture
def short(monkeypatch):
    """Short videos with few people, of which no model predicts poses."""
    monkeypatch.setattr(data, 'FRAMES', 12)
    monkeypatch.setattr(data, 'PEOPLE', (2, 3))
    for module in (data, study, program):
        monkeypatch.setattr(module, 'KINDS', dict(clean='clean', confused='confused'))


@pytest.fixture
def videos(short, trackers, tmp_path):
    return study.load_videos(tmp_path, 3, VIDEOS)


def person(track_id, x, visible=1.0, bottom=100.0):
    y, visibility = np.linspace(0, 90, 17), np.full(17, 2)
    keypoints = np.column_stack((np.full(17, x), y, visibility))
    return dict(
        id=track_id,
        track_id=track_id,
        visible=visible,
        bbox=[x - 20.0, 0.0, 40.0, bottom],
        area=2000.0,
        keypoints=keypoints.ravel().tolist(),
    )


def simulated(people, confused, frames=50):
    video = AnnotatedVideo(1, [{}] * frames, [people] * frames)
    return data.simulate(video, confused, np.random.default_rng(0))


def test_simulated_poses_are_near_the_people():
    frames = simulated([person(1, 100.0), person(2, 300.0)], confused=True)
    poses = InstanceData.cat(frames)
    assert 90 < len(poses) <= 100
    x = poses.keypoints[..., 0].mean(axis=1)
    assert (np.minimum(abs(x - 100), abs(x - 300)) < 5).all()
    assert poses.bbox_scores.mean() == pytest.approx(0.9, abs=0.03)


def test_occluded_people_are_missed_more_often_and_have_lower_scores():
    (frame, *_), visible = simulated([person(1, 100.0)], False), 0.3
    assert frame.bbox_scores[0] > 0.7
    occluded = InstanceData.cat(simulated([person(1, 100.0, visible)], False))
    assert 25 < len(occluded) < 45
    assert occluded.bbox_scores.mean() == pytest.approx(0.55, abs=0.03)


def test_confused_poses_are_those_in_front():
    people = [person(1, 100.0, visible=0.4), person(2, 115.0, bottom=130.0)]
    clean, confused = (
        InstanceData.cat(simulated(people, kind, 200)) for kind in (False, True)
    )
    behind = [frame.bboxes[:, 3] < 115 for frame in (clean, confused)]
    x = clean.keypoints[behind[0]][..., 0].mean(axis=1)
    assert (x < 107).all()
    x = confused.keypoints[behind[1]][..., 0].mean(axis=1)
    assert 0.55 < (x > 107).mean() < 0.85
    # The person in front keeps the own pose.
    x = confused.keypoints[~behind[1]][..., 0].mean(axis=1)
    assert (x > 107).all()


def test_frames_without_people_have_no_poses():
    (frame,) = simulated([], confused=True, frames=1)
    assert frame.keypoints.shape == (0, 17, 2)


def test_perfect_association_gives_new_ids_after_an_absence(monkeypatch):
    monkeypatch.setattr(study, 'FPS', 2)
    absent = int(study.PATIENCE * 2) + 1
    people = [[person(1, 100.0)]] * 2 + [[]] * absent + [[person(1, 100.0)]] * 2
    video = AnnotatedVideo(1, [{}] * len(people), people)
    poses = []
    for frame in people:
        keypoints = np.array([p['keypoints'] for p in frame]).reshape(-1, 17, 3)
        poses.append(InstanceData(keypoints=keypoints[..., :2]))
    tracked = study.perfect_association(video, poses)
    ids = [frame.track_ids.tolist() for frame in tracked]
    assert ids == [[1], [1], *[[]] * absent, [1001], [1001]]
    # Far from all people
    far = InstanceData(keypoints=np.full((1, 17, 2), 900.0))
    (first, *_) = study.perfect_association(video, [far] * len(people))
    assert first.track_ids.tolist() == [-1]


def test_files_are_reused(videos, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(data, 'write_group_videos', fail)
    monkeypatch.setattr(data, 'simulate', fail)
    again = study.load_videos(tmp_path, 3, VIDEOS)
    for a, b in zip(videos.poses['clean'][0], again.poses['clean'][0], strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_perfect_association_is_best(videos):
    (method,) = (m for m in methods.METHODS if m.name == 'OKS and IoU')
    counts = study.evaluate(videos, 'clean', method, method.settings()[0], True)
    best = [
        study.count(videos, i, study.perfect_association(videos.annotated[i], poses))
        for i, poses in enumerate(videos.poses['clean'])
    ]
    result = study.summarise(best, counts)
    assert result['HOTA_difference'][0] >= 0
    low, high = result['HOTA_interval']
    assert low <= result['HOTA'] <= high
    assert result['IDSW'] <= study.summarise(counts, best)['IDSW']


def test_tuning_takes_the_best_settings(videos, tmp_path, monkeypatch):
    # A person is lost after one frame, or not.
    method = methods.Method(
        'IoU', methods._pose_tracker(pose_weight=0.0), dict(min_similarity=(1.0, 0.2))
    )
    monkeypatch.setattr(study, 'METHODS', (method,))
    cache = tmp_path / 'settings.json'
    assert study.tune(videos, cache) == {'IoU': dict(min_similarity=0.2)}
    cache.write_text(json.dumps({'IoU': dict(min_similarity=0.5)}))
    assert study.tune(videos, cache) == {'IoU': dict(min_similarity=0.5)}


def test_program_writes_results_table_and_pictures(
    short, trackers, tmp_path, monkeypatch
):
    def one_setting(method):
        return [{name: values[0] for name, values in method.grid.items()}]

    monkeypatch.setattr(methods.Method, 'settings', one_setting)
    monkeypatch.setattr(study, 'SAMPLES', 5)
    options = ['--seeds', '0', '--tuning-seed', '9', '--videos', '1']
    monkeypatch.setattr('sys.argv', ['tracking', *options, f'--work-dir={tmp_path}'])
    program.main()
    results = json.loads((tmp_path / 'results.json').read_text())
    # Seven trackers with and without pose NMS, and perfect association
    assert len(results['rows']) == 2 * 15
    table = (tmp_path / 'table.md').read_text()
    assert table.count('| ByteTrack |') == 4
    for name in ('tracking.png', 'tracking.webp'):
        assert (tmp_path / name).stat().st_size > 1000


def test_det_every_writes_a_row_for_each_number(tmp_path, monkeypatch):
    monkeypatch.setattr(
        det_every, 'measure', lambda args, every: dict(every=every, HOTA=1 / every)
    )
    argv = ['det_every', '--every', '1', '2', f'--work-dir={tmp_path}']
    monkeypatch.setattr('sys.argv', argv)
    det_every.main()
    rows = json.loads((tmp_path / 'det_every.json').read_text())
    assert rows == [dict(every=1, HOTA=1), dict(every=2, HOTA=0.5)]


def test_animation_has_every_second_frame(tmp_path):
    images = [np.full((60, 80, 3), 9 * i, np.uint8) for i in range(5)]
    keypoints = np.random.default_rng(0).uniform(5, 55, (2, 17, 2))
    poses = InstanceData(
        keypoints=keypoints,
        keypoint_scores=np.ones((2, 17)),
        bboxes=np.array([[5.0, 5, 55, 55]] * 2),
        bbox_scores=np.ones(2),
        scores=np.ones(2),
        track_ids=np.array([1, -1]),
    )
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    path = tmp_path / 'out/tracks.webp'
    write_animation(path, images, [poses] * 5, meta)
    with Image.open(path) as image:
        assert image.n_frames == 3
        # Only the person with an id is drawn, in colour.
        drawing = np.array(image.convert('RGB')).astype(int)
    x, y = keypoints[:, 0].round().astype(int).T
    assert np.ptp(drawing[y[0], x[0]]) > 50
