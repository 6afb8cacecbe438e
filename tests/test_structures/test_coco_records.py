# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.structures import (
    boxes_from_records,
    boxes_to_records,
    group_by_image,
    make_annotation,
    make_detection,
    poses_from_records,
    poses_to_records,
)


def sample_people(number, num_keypoints=5):
    rng = np.random.default_rng(number)
    corner = rng.uniform(0, 50, (number, 2))
    return InstanceData(
        keypoints=rng.uniform(0, 99, (number, num_keypoints, 2)).astype(np.float32),
        keypoint_scores=rng.uniform(size=(number, num_keypoints)).astype(np.float32),
        bboxes=np.hstack((corner, corner + 7)).astype(np.float32),
        bbox_scores=rng.uniform(size=number).astype(np.float32),
        scores=rng.uniform(size=number),
    )


def test_poses_survive_a_round_trip_through_json():
    for number in (0, 1, 3):
        poses = sample_people(number)
        records = json.loads(json.dumps(poses_to_records(7, poses)))
        assert [r['image_id'] for r in records] == [7] * number
        converted = poses_from_records(records, 5)
        assert converted.keypoints.shape == (number, 5, 2)
        for name in ('keypoints', 'keypoint_scores', 'bboxes', 'scores'):
            np.testing.assert_allclose(converted[name], poses[name], rtol=1e-6)


def test_pose_records_are_coco_results():
    (record,) = poses_to_records(
        'a.jpg',
        InstanceData(
            keypoints=np.array([[[1.0, 2], [3, 4]]]),
            keypoint_scores=np.array([[0.5, 0.6]]),
            bboxes=np.array([[10.0, 20, 15, 40]]),
            scores=np.array([0.9]),
        ),
    )
    assert record == dict(
        image_id='a.jpg',
        category_id=1,
        keypoints=[1.0, 2.0, 0.5, 3.0, 4.0, 0.6],
        score=0.9,
        bbox=[10.0, 20.0, 5.0, 20.0],
    )


def test_poses_from_annotations_have_no_scores():
    annotation = dict(keypoints=[1, 2, 2, 0, 0, 0], bbox=[0, 0, 3, 4])
    poses = poses_from_records([annotation], 2)
    assert 'scores' not in poses
    np.testing.assert_array_equal(poses.keypoint_scores, [[2, 0]])
    np.testing.assert_array_equal(poses.bboxes, [[0, 0, 3, 4]])


def test_boxes_are_rounded_to_a_hundredth_of_a_pixel():
    for number in (0, 2):
        boxes = sample_people(number)
        records = json.loads(json.dumps(boxes_to_records(1, boxes)))
        converted = boxes_from_records(records)
        np.testing.assert_allclose(converted.bboxes, boxes.bboxes, atol=0.02)
        np.testing.assert_allclose(converted.bbox_scores, boxes.bbox_scores)
        assert all(
            set(r) == {'image_id', 'category_id', 'bbox', 'score'} for r in records
        )


def test_groups_keep_the_order_of_records():
    records = [dict(image_id=i % 2, number=i) for i in range(5)]
    grouped = group_by_image(records)
    assert [r['number'] for r in grouped[0]] == [0, 2, 4]
    assert grouped['none'] == []


def test_made_annotation_is_coco():
    keypoints = np.array([[1.234, 5.678, 2], [3, 4, 1], [0, 0, 0]])
    bbox = np.array([1.0, 2, 5, 9])
    assert make_annotation(3, 7, keypoints, bbox, area=20) == dict(
        id=3,
        image_id=7,
        category_id=1,
        iscrowd=0,
        bbox=[1.0, 2.0, 4.0, 7.0],
        area=20,
        num_keypoints=2,
        keypoints=[1.23, 5.68, 2, 3.0, 4.0, 1, 0.0, 0.0, 0],
    )


def test_made_detection_has_an_image_only_if_given():
    record = dict(category_id=1, bbox=[1.0, 2.0, 3.0, 4.0], score=0.5)
    assert make_detection((1.0, 2.0, 3.0, 4.0), 0.5) == record
    assert make_detection([1.0, 2.0, 3.0, 4.0], 0.5, 'a') == dict(record, image_id='a')


def test_people_who_are_tracked_have_an_id():
    poses = InstanceData(
        keypoints=np.zeros((3, 1, 2)), keypoint_scores=np.ones((3, 1)),
        bboxes=np.ones((3, 4)), scores=np.ones(3),
    )  # fmt: skip
    assert not any('track_id' in record for record in poses_to_records(1, poses))
    poses.track_ids = np.array([3, -1, 12])
    records = json.loads(json.dumps(poses_to_records(1, poses)))
    assert [record.get('track_id') for record in records] == [3, None, 12]
