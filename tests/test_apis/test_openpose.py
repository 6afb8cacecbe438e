# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from rmpe_plugin.apis import Frame, OpenPoseWriter
from tests.test_apis.conftest import random_poses

# Indices of COCO's keypoints at the places of OpenPose; pairs are means.
HEAD_AND_ARMS = [0, (5, 6), 6, 8, 10, 5, 7, 9]
LEGS_AND_HEAD = [12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
BODY_25 = [*HEAD_AND_ARMS, (11, 12), *LEGS_AND_HEAD, *[None] * 6]
COCO_18 = [*HEAD_AND_ARMS, *LEGS_AND_HEAD]


def write(folder, meta, *frames, file_format='openpose', people=2):
    writer = OpenPoseWriter(folder, meta, file_format)
    poses = random_poses(people)
    poses.pred_instances.keypoint_scores = np.linspace(0, 1, 17 * people).reshape(
        -1, 17
    )
    for frame in frames:
        writer.write(frame, poses)
    return np.dstack(
        (poses.pred_instances.keypoints, poses.pred_instances.keypoint_scores)
    )


@pytest.mark.parametrize(
    ('file_format', 'points'), [('openpose', BODY_25), ('openpose-18', COCO_18)]
)
def test_points_are_in_the_order_of_openpose(file_format, points, coco_meta, tmp_path):
    triples = write(tmp_path, coco_meta, Frame(7, 'a/7.jpg'), file_format=file_format)
    content = json.loads((tmp_path / '7_keypoints.json').read_text())
    assert content['version'] == 1.3
    assert len(content['people']) == 2
    for person, keypoints in zip(content['people'], triples, strict=True):
        assert person['person_id'] == [-1]
        assert person['face_keypoints_2d'] == person['hand_left_keypoints_2d'] == []
        expected = [
            np.zeros(3)
            if point is None
            else np.mean([keypoints[i] for i in np.atleast_1d(point)], axis=0)
            for point in points
        ]
        got = np.reshape(person['pose_keypoints_2d'], (-1, 3))
        np.testing.assert_allclose(got, expected)


def test_each_frame_has_a_file_also_without_people(coco_meta, tmp_path):
    frames = [Frame('x.png', 'b/x.png')]
    frames += [Frame(i, 'f', video='c/walk.mp4') for i in (0, 12)]
    frames += [Frame('run/3', 'f', video='run.avi')]
    write(tmp_path / 'new', coco_meta, *frames, people=0)
    contents = {f.name: json.loads(f.read_text()) for f in (tmp_path / 'new').iterdir()}
    assert set(contents) == {
        'x_keypoints.json',
        'walk_000000000000_keypoints.json',
        'walk_000000000012_keypoints.json',
        'run_000000000003_keypoints.json',
    }
    assert all(content['people'] == [] for content in contents.values())


def test_feet_of_models_that_predict_them_are_written(tmp_path):
    names = ['right_heel', 'left_big_toe']
    meta = dict(num_keypoints=2, keypoint_name2id={n: i for i, n in enumerate(names)})
    poses = random_poses(1)
    poses.pred_instances.keypoints = np.array([[[1.0, 2], [3, 4]]])
    poses.pred_instances.keypoint_scores = np.array([[0.5, 0.25]])
    OpenPoseWriter(tmp_path, meta).write(Frame(1, '1.jpg'), poses)
    content = json.loads((tmp_path / '1_keypoints.json').read_text())
    points = np.reshape(content['people'][0]['pose_keypoints_2d'], (25, 3))
    np.testing.assert_array_equal(points[[19, 24]], [[3, 4, 0.25], [1, 2, 0.5]])
    assert np.count_nonzero(points) == 6


def test_raises_on_two_images_of_one_name(coco_meta, tmp_path):
    with pytest.raises(OSError, match='x_keypoints.json is the file of another image'):
        write(tmp_path, coco_meta, Frame('x.jpg', 'x.jpg'), Frame('x.png', 'x.png'))


def test_raises_on_other_keypoints_and_formats(coco_meta, tmp_path):
    meta = dict(num_keypoints=1, keypoint_name2id=dict(thumb1=0))
    with pytest.raises(ValueError, match=r"none of the points .* got \['thumb1'\]"):
        OpenPoseWriter(tmp_path, meta)
    with pytest.raises(ValueError, match='file_format must be one of'):
        OpenPoseWriter(tmp_path, coco_meta, 'cmu')
