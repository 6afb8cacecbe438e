# SPDX-License-Identifier: Apache-2.0
import argparse
import json

import cv2
import numpy as np
import pytest

from rmpe_plugin.cli.synthesize import videos as command
from rmpe_plugin.datasets.synthetic import (
    Camera,
    groups,
    render_group,
    render_motion,
    write_group_videos,
)
from rmpe_plugin.datasets.synthetic.walk import MARGIN, SPEED, sample_walk
from rmpe_plugin.structures import group_by_image, read_annotations

CAMERA = Camera((160, 120), 150.0)
SLOPE = 80 / 150


@pytest.fixture(scope='module')
def walks():
    rng = np.random.default_rng(0)
    return [sample_walk(rng, 12.0, (3.0, 4.0), SLOPE, 0.4) for _ in range(20)]


@pytest.fixture
def recorded(monkeypatch):
    """Motions of the people and of the camera that ``render_group`` samples."""
    found = {}

    def record(name):
        sample = getattr(groups, name)
        monkeypatch.setattr(
            groups, name, lambda *args: found.setdefault(name, sample(*args))
        )

    record('_sample_walks')
    record('_sample_shift')
    return found


def test_one_body_is_as_before():
    frames = list(render_motion(np.random.default_rng(5), CAMERA, 6))
    assert frames[-1].keypoints.sum() == pytest.approx(2206.8787066058, abs=1e-6)
    assert frames[-1].joints.sum() == pytest.approx(50.621225741, abs=1e-6)
    assert frames[-1].image.sum() == pytest.approx(6483049, rel=1e-4)


def test_people_cross_stop_turn_leave_and_come_back(walks):
    times = np.arange(0, 12, 0.04)
    crossed = stopped = turned = returned = 0
    for walk in walks:
        x, _, z = walk.position(times).T
        speed = np.abs(np.diff(x)) / 0.04
        assert speed.max() < 2 * SPEED[1]
        assert ((z > 2.99) & (z < 4.01)).all()
        inside = np.abs(x) < SLOPE * z
        crossed += (np.diff(np.sign(x)) != 0).any()
        stopped += ((speed[:-10] < 1e-6) & (speed[10:] < 1e-6)).any()
        moving = np.sign(np.diff(x)[speed > 0.2])
        turned += (np.diff(moving) != 0).any()
        out = np.flatnonzero(np.abs(x) > SLOPE * z + 0.9 * MARGIN)
        returned += (
            bool(len(out)) and inside[: out[0]].any() and inside[out[-1] :].any()
        )
    assert min(crossed, stopped, turned, returned) >= 5


def test_people_look_where_they_walk(walks):
    times = np.arange(0.5, 11.5, 0.1)
    cosines = []
    for walk in walks:
        x, _, z = walk.position(times, 1).T
        ahead = np.column_stack((x, -z))
        speed = np.linalg.norm(ahead, axis=1)
        yaw = walk.yaw(times)[:, 0]
        facing = np.column_stack((np.sin(yaw), np.cos(yaw)))
        walking = speed > 0.8
        cosines += ((ahead * facing).sum(axis=1) / speed.clip(1e-9))[walking].tolist()
        # The body is built with this direction.
        body = walk.body_at(times[0]).facing
        assert body[[0, 2]] @ facing[0] > 0.5
    assert np.median(cosines) > 0.99
    assert np.mean(np.array(cosines) > 0.7) > 0.9


def test_legs_swing_with_the_distance(walks):
    walk = walks[0]
    times = np.arange(0, 11, 0.04)
    speed = np.linalg.norm(walk.position(times, 1), axis=1)
    np.testing.assert_allclose(walk.distance(times, 1)[:, 0], speed, atol=0.1)
    feet = np.stack([walk.body_at(t).joints[15:17] for t in times])
    between = np.abs(feet[:, 0] - feet[:, 1]).max(axis=1)
    assert between[speed > 0.9].max() > 2 * np.median(between[speed < 0.05])


def test_nearer_people_occlude_those_behind(recorded):
    frames = list(render_group(np.random.default_rng(4), CAMERA, 4, 60))
    assert len(frames) == 60
    least = 1.0
    for time, frame in zip(np.arange(60) / 25, frames, strict=True):
        depths = [walk.position(time)[2] for walk in recorded['_sample_walks']]
        nearest = min(frame.people, key=lambda i: depths[i])
        if nearest == np.argmin(depths):
            assert frame.people[nearest].visible == 1
        least = min(least, *(person.visible for person in frame.people.values()))
    assert 0.1 <= least < 0.6


def test_tracks_are_continuous(recorded):
    frames = list(render_group(np.random.default_rng(1), CAMERA, 3, 40))
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        for i in before.people.keys() & after.people.keys():
            a, b = before.people[i].keypoints, after.people[i].keypoints
            labelled = (a[:, 2] > 0) & (b[:, 2] > 0)
            assert np.linalg.norm(a - b, axis=1)[labelled].max() < 14
    # Nothing is annotated outside the image.
    for frame in frames:
        for person in frame.people.values():
            x, y, v = person.keypoints.T
            assert (x[v > 0] < 160).all() and (y[v > 0] < 120).all()


def test_background_and_people_move_with_the_camera(recorded):
    frames = list(
        render_group(np.random.default_rng(2), CAMERA, 1, 50, camera_motion=0.2)
    )
    shift = np.round(recorded['_sample_shift'](np.arange(50) / 25))
    walk = recorded['_sample_walks'][0]
    # The noise does not move.
    first, last = (
        cv2.GaussianBlur(frames[i].image, None, 2).astype(float) for i in (0, 49)
    )
    moved = (shift[49] - shift[0]).astype(int)
    assert np.abs(moved).max() > 4
    back = np.roll(last, -moved[::-1], axis=(0, 1))
    assert np.median(np.abs(back - first)[3:14, 50:110]) < 3
    assert np.median(np.abs(last - first)[3:14, 50:110]) > 6
    for i in (0, 25, 49):
        pelvis = CAMERA.project(walk.position(i / 25)[None])[0] + shift[i]
        hips = frames[i].people[0].keypoints[11:13, :2].mean(axis=0)
        np.testing.assert_allclose(hips, pelvis, atol=0.5)


def test_camera_can_stand_still(recorded):
    frames = render_group(np.random.default_rng(2), CAMERA, 2, 30, camera_motion=0)
    first, *_, last = (frame.image.astype(int) for frame in frames)
    assert np.median(np.abs(first - last)) == 0


def test_writes_ids_of_videos_frames_and_people(tmp_path):
    videos = write_group_videos(
        tmp_path, dict(train=1, test=2), (2, 3), 8, (160, 120), seed=3
    )
    assert [v.name for v in videos] == ['train_001.mp4', 'test_001.mp4', 'test_002.mp4']
    capture = cv2.VideoCapture(str(videos[0]))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    dataset = read_annotations(tmp_path / 'annotations/person_keypoints_test.json')
    assert [v['name'] for v in dataset['videos']] == ['test_001', 'test_002']
    images = dataset['images']
    assert [(i['video_id'], i['frame_id']) for i in images] == [
        (video, frame) for video in (1, 2) for frame in range(8)
    ]
    assert images[9]['file_name'] == 'test_002_000001.jpg'
    # A frame's index, as in the results of a single video, is no id of an image.
    assert images[9]['id'] == 2_000_001
    for people in group_by_image(dataset['annotations']).values():
        ids = [person['track_id'] for person in people]
        assert len(set(ids)) == len(ids) and set(ids) <= {1, 2, 3}
    for person in dataset['annotations']:
        assert 0.1 <= person['visible'] <= 1
        assert len(person['head_box']) == len(person['full_bbox']) == 4
        if person['visible'] == 1:
            # Within the margins of the full box
            x, y, w, h = person['bbox']
            left, top, width, height = person['full_bbox']
            assert w * h < 1.4 * width * height
            assert left - w < x and top - h < y


def test_same_seed_gives_the_same_files_for_any_number_of_videos(tmp_path):
    for name, number in dict(a=1, b=2).items():
        write_group_videos(tmp_path / name, dict(test=number), (2, 4), 4, (160, 120))
    path = 'annotations/person_keypoints_test.json'
    a, b = (json.loads((tmp_path / name / path).read_text()) for name in 'ab')
    number = len(a['annotations'])
    assert a['annotations'] == b['annotations'][:number]
    a, b = ((tmp_path / name / 'videos/test_001.mp4').read_bytes() for name in 'ab')
    assert a == b


def test_raises_on_wrong_numbers_of_people(tmp_path):
    with pytest.raises(ValueError, match='num_people must be .* got 3 and 2'):
        write_group_videos(tmp_path, dict(test=1), (3, 2), 4)
    for text in ('0', '4-2', 'many', '-3'):
        with pytest.raises(argparse.ArgumentTypeError, match=f"got '{text}'"):
            command.number_or_range(text)


@pytest.mark.parametrize('people, name', [('1', 'S1_Motion.1'), ('2-3', 'train_001')])
def test_command_writes_one_body_or_groups(tmp_path, monkeypatch, people, name):
    options = ('--train=1', '--test=1', '--frames=2', f'--people={people}')
    monkeypatch.setattr('sys.argv', ['videos', str(tmp_path), *options])
    command.main()
    assert (tmp_path / f'videos/{name}.mp4').is_file()
