# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.structures import (
    boxes_from_records,
    boxes_to_records,
    group_by_image,
    poses_from_records,
    poses_to_records,
)


def people(number, num_keypoints=5):
    rng = np.random.default_rng(number)
    corner = rng.uniform(0, 50, (number, 2))
    return InstanceData(
        keypoints=rng.uniform(0, 99, (number, num_keypoints, 2)).astype(np.float32),
        keypoint_scores=rng.uniform(size=(number, num_keypoints)).astype(np.float32),
        bboxes=np.hstack((corner, corner + 7)).astype(np.float32),
        bbox_scores=rng.uniform(size=number).astype(np.float32),
        scores=rng.uniform(size=number),
    )


def test_poses_come_back_from_json():
    for number in (0, 1, 3):
        poses = people(number)
        records = json.loads(json.dumps(poses_to_records(7, poses)))
        assert [r['image_id'] for r in records] == [7] * number
        found = poses_from_records(records, 5)
        assert found.keypoints.shape == (number, 5, 2)
        for name in ('keypoints', 'keypoint_scores', 'bboxes', 'scores'):
            np.testing.assert_allclose(found[name], poses[name], rtol=1e-6)


def test_records_are_cocos():
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


def test_annotations_have_no_score():
    annotation = dict(keypoints=[1, 2, 2, 0, 0, 0], bbox=[0, 0, 3, 4])
    found = poses_from_records([annotation], 2)
    assert 'scores' not in found
    np.testing.assert_array_equal(found.keypoint_scores, [[2, 0]])
    np.testing.assert_array_equal(found.bboxes, [[0, 0, 3, 4]])


def test_boxes_come_back_to_a_hundredth():
    for number in (0, 2):
        boxes = people(number)
        records = json.loads(json.dumps(boxes_to_records(1, boxes)))
        found = boxes_from_records(records)
        np.testing.assert_allclose(found.bboxes, boxes.bboxes, atol=0.02)
        np.testing.assert_allclose(found.bbox_scores, boxes.bbox_scores)
        assert all(
            set(r) == {'image_id', 'category_id', 'bbox', 'score'} for r in records
        )


def test_groups_keep_their_order():
    records = [dict(image_id=i % 2, number=i) for i in range(5)]
    grouped = group_by_image(records)
    assert [r['number'] for r in grouped[0]] == [0, 2, 4]
    assert grouped['none'] == []
