# SPDX-License-Identifier: Apache-2.0
"""Poses of long videos with many people."""

import json
import tracemalloc
from contextlib import closing

import numpy as np
import pytest

from rmpe_plugin.lifting import Clip, read_video_poses, video_poses
from rmpe_plugin.lifting.people_file import PeopleFile
from tests.test_lifting.factories import people

FRAMES = 200


def write_results(path, num_people):
    """Results of a video; the person at the right has the highest score."""
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 1000, (num_people, 51)).tolist()
    with path.open('w') as file:
        json.dump(
            [
                dict(
                    image_id=frame,
                    category_id=1,
                    keypoints=keypoints[i],
                    bbox=[50 * i, frame, 40, 80],
                    score=(i + 1) / num_people,
                )
                for frame in range(FRAMES)
                for i in range(num_people)
            ],
            file,
        )
    return path


@pytest.fixture
def video(monkeypatch, tmp_path):
    rows = tuple(range(FRAMES))
    clip = Clip('walk', rows, rows, (1920, 1080), 25.0)
    monkeypatch.setattr(video_poses, 'video_clip', lambda path, prefix_ids: clip)
    return tmp_path / 'walk.mp4'


def peak_memory(results, video, person):
    """Peak of the memory while results are read, in MiB."""
    read_video_poses(results, video, person=person)
    tracemalloc.start()
    read_video_poses(results, video, person=person)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


@pytest.mark.parametrize('choice', ['best', 'boxes'])
def test_memory_does_not_depend_on_the_number_of_people(choice, video, tmp_path):
    boxes = [dict(image_id=i, bbox=[0, i, 40, 80], score=1.0) for i in range(FRAMES)]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    person = choice if choice == 'best' else str(tmp_path / 'boxes.json')
    few, many = (
        peak_memory(write_results(tmp_path / 'results.json', number), video, person)
        for number in (1, 20)
    )
    assert many < few + 2


@pytest.mark.parametrize('order', ['sorted', 'reversed', 'mixed'])
@pytest.mark.parametrize(('choice', 'left'), [('best', 100), ('boxes', 50)])
def test_results_in_any_order(choice, left, order, video, tmp_path):
    path = write_results(tmp_path / 'results.json', 3)
    records = json.loads(path.read_text())
    if order == 'reversed':
        records = records[::-1]
    elif order == 'mixed':
        np.random.default_rng(0).shuffle(records)
    path.write_text(json.dumps(records))
    boxes = [dict(image_id=i, bbox=[45, i, 40, 80], score=1.0) for i in range(FRAMES)]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    person = choice if choice == 'best' else str(tmp_path / 'boxes.json')
    ((_, poses),) = read_video_poses(path, video, person=person)
    expected = [[left, frame, left + 40, frame + 80] for frame in range(FRAMES)]
    np.testing.assert_allclose(poses.bboxes[:, :4], expected)
    of_person = next(r for r in records if r['bbox'][0] == left)
    keypoints = np.reshape(of_person['keypoints'], (17, 3))
    np.testing.assert_allclose(poses.keypoints[7], keypoints[:, :2], rtol=1e-6)
    np.testing.assert_allclose(poses.scores[7], keypoints[:, 2], rtol=1e-6)


def test_people_file_has_the_people_of_all_parts_of_a_frame():
    first, other, last = (people((i, 0, 50, 60, 0.5), seed=i) for i in range(3))
    with closing(PeopleFile()) as file:
        for image_id, frame in (('a', first), (3, other), ('a', last)):
            file.add(image_id, frame)
        assert file.image_ids == ['a', 3]
        both, none = file.read('a'), file.read('b')
    np.testing.assert_allclose(both.bboxes, [[0, 0, 50, 60], [2, 0, 50, 60]])
    np.testing.assert_allclose(both.keypoints[1], last.keypoints[0], rtol=1e-6)
    np.testing.assert_allclose(both.keypoint_scores[0], first.keypoint_scores[0])
    np.testing.assert_allclose(both.scores, [0.5, 0.5])
    assert len(none) == 0
    assert none.keypoints.shape == (0, 17, 2)


def write_tracked(path, ids):
    """Results of the ids of each frame; the person at x = 50 id has the id."""
    records = [
        dict(
            image_id=frame, category_id=1, keypoints=[float(50 * track)] * 51,
            bbox=[50 * track, 0, 40, 80], score=1 / (9 + track), track_id=track,
        )
        for frame, tracks in enumerate(ids)
        for track in tracks
    ]  # fmt: skip
    for record in records:
        if record['track_id'] < 0:
            del record['track_id']
    path.write_text(json.dumps(records))
    return path


def test_person_of_an_id(video, tmp_path):
    ids = [(1, 2, -1), (2, 1), (), (-1,), (2,), (3, 2)]
    results = write_tracked(tmp_path / 'results.json', ids)
    for track, seen in ((1, [0, 1]), (2, [0, 1, 4, 5]), (3, [5])):
        ((_, poses),) = read_video_poses(results, video, person=str(track))
        assert np.flatnonzero(~poses.missing).tolist() == seen
        assert (poses.bboxes[seen, 0] == 50 * track).all()


def test_raises_on_an_id_that_is_not_that_of_one_person(video, tmp_path):
    results = write_tracked(tmp_path / 'results.json', [(1, 2), (2, 2)])
    with pytest.raises(
        ValueError, match=r'no person has the track_id 9; ids are \[1, 2\]'
    ):
        read_video_poses(results, video, person='9')
    with pytest.raises(ValueError, match=r'1 frames of walk \(id 2\) show several peo'):
        read_video_poses(results, video, person='2')
    results = write_tracked(tmp_path / 'results.json', [(-1, -2)])
    with pytest.raises(ValueError, match='track_id 1; rmpe predict --track adds it'):
        read_video_poses(results, video, person='1')
