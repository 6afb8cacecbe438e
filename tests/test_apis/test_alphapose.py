# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.apis import Frame, JsonList, alphapose_records
from rmpe_plugin.structures import person_scores
from tests.test_apis.conftest import random_poses

IMAGE = np.full((40, 60, 3), 128, np.uint8)


def test_records_have_the_fields_of_alphapose():
    poses = random_poses(2)
    records = alphapose_records(Frame(785, 'a/b/785.jpg', IMAGE), poses)
    assert [set(r) for r in records] == [
        {'image_id', 'category_id', 'keypoints', 'score', 'box', 'idx'}
    ] * 2
    assert records[0]['image_id'] == '785.jpg'
    assert records[0]['box'] == [4.0, 5.0, 46.0, 30.0]
    assert len(records[0]['keypoints']) == 51
    expected = person_scores(poses.pred_instances, 'alphapose')
    np.testing.assert_allclose([r['score'] for r in records], expected)


def test_frames_of_a_video_are_named_by_their_index():
    frame = Frame(3, 'walk.mp4 frame 3', IMAGE, video='walk.mp4', fps=25)
    assert alphapose_records(frame, random_poses(2))[0]['image_id'] == '3.jpg'
    assert alphapose_records(frame, random_poses(0)) == []


def test_json_is_that_of_alphapose():
    """The text that ``write_json`` writes for these poses."""
    poses = random_poses(1)
    people = InstanceData(scores=np.array([0.9], np.float32))
    people.keypoints = np.array([[[1.5, 2], [3, 4]]], np.float32)
    people.keypoint_scores = np.array([[0.5, 0.25]], np.float32)
    people.bboxes = np.array([[10, 20, 40, 60]], np.float32)
    people.bbox_scores = np.array([0.75], np.float32)
    poses.pred_instances = people
    # Score: mean 0.375 + box 0.75 + 1.25 * maximum 0.5
    assert json.dumps(alphapose_records(Frame(7, 'a/7.png', IMAGE), poses)) == (
        '[{"image_id": "7.png", "category_id": 1, '
        '"keypoints": [1.5, 2.0, 0.5, 3.0, 4.0, 0.25], "score": 1.75, '
        '"box": [10.0, 20.0, 30.0, 40.0], "idx": [0.0]}]'
    )


def test_ids_are_numbers_of_people_who_are_tracked():
    poses = random_poses(3)
    poses.pred_instances.track_ids = np.array([4, -1, 2])
    frame = Frame(3, 'walk.mp4 frame 3', IMAGE, video='walk.mp4')
    records = alphapose_records(frame, poses)
    assert [record['idx'] for record in records] == [4, 2]
    assert set(records[0]) == {
        'image_id', 'category_id', 'keypoints', 'score', 'box', 'idx'
    }  # fmt: skip
    scores = person_scores(poses.pred_instances, 'alphapose')
    np.testing.assert_allclose([r['score'] for r in records], scores[[0, 2]])


def test_files_are_read_as_skeleton_anomaly_detection_does(tmp_path):
    """STG-NF and others make a dictionary of people, then of frames."""
    people = tmp_path / 'alphapose-results.json'
    frames = [Frame(i, f'a.mp4 frame {i}', IMAGE, video='a.mp4') for i in range(12)]
    with JsonList(people) as results:
        for frame in frames:
            poses = random_poses(2)
            poses.pred_instances.track_ids = np.array([1, 12 if frame.image_id else -1])
            results.extend(alphapose_records(frame, poses))
    tracked = {}
    for item in json.loads(people.read_text()):
        frame = item['image_id'][: -len('.jpg')].zfill(4)
        person = tracked.setdefault(str(item['idx']), {})
        assert frame not in person
        person[frame] = dict(keypoints=item['keypoints'], scores=item['score'])
    assert sorted(map(int, tracked)) == [1, 12]
    assert sorted(map(int, tracked['1'])) == [*range(12)]
    assert sorted(tracked['12']) == [f'{i:04}' for i in range(1, 12)]
    poses = [np.array(p['keypoints']).reshape(-1, 3) for p in tracked['1'].values()]
    assert np.stack(poses).shape == (12, 17, 3)
    assert all(isinstance(p['scores'], float) for p in tracked['1'].values())
