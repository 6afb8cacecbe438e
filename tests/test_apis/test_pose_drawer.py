# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import PoseDrawer
from tests.test_apis.conftest import random_poses

IMAGE = np.full((40, 60, 3), 128, np.uint8)


@pytest.mark.parametrize('shape', [(40, 60), (1, 1), (3000, 4000)])
def test_draws_on_images_of_any_size(coco_meta, shape):
    image = np.full((*shape, 3), 128, np.uint8)
    before = image.copy()
    drawing = PoseDrawer(coco_meta).draw(image, random_poses(2))
    assert drawing.shape == image.shape
    np.testing.assert_array_equal(image, before)
    assert shape == (1, 1) or (drawing != image).any()
    without_people = PoseDrawer(coco_meta).draw(image, random_poses(0))
    np.testing.assert_array_equal(without_people, image)


def test_low_scores_are_not_drawn(coco_meta):
    drawer = PoseDrawer(coco_meta, score_thr=0.95)
    np.testing.assert_array_equal(drawer.draw(IMAGE, random_poses(1)), IMAGE)
    with_keypoints = PoseDrawer(coco_meta, kpt_thr=0.3).draw(IMAGE, random_poses(1))
    only_boxes = PoseDrawer(coco_meta, kpt_thr=0.85).draw(IMAGE, random_poses(1))
    assert (with_keypoints != only_boxes).any()


def test_boxes_can_be_left_out(coco_meta):
    poses, hidden = random_poses(1), dict(kpt_thr=0.85)
    assert (PoseDrawer(coco_meta, **hidden).draw(IMAGE, poses) != IMAGE).any()
    without = PoseDrawer(coco_meta, boxes=False, **hidden).draw(IMAGE, poses)
    np.testing.assert_array_equal(without, IMAGE)
    assert (PoseDrawer(coco_meta, boxes=False).draw(IMAGE, poses) != IMAGE).any()


def test_poses_can_be_drawn_on_black(coco_meta):
    poses = random_poses(1)
    drawing = PoseDrawer(coco_meta, boxes=False, black=True).draw(IMAGE, poses)
    on_black = PoseDrawer(coco_meta, boxes=False).draw(np.zeros_like(IMAGE), poses)
    np.testing.assert_array_equal(drawing, on_black)
    assert drawing.any()


def test_each_person_has_a_colour(coco_meta):
    image = np.zeros((60, 400, 3), np.uint8)
    poses = random_poses(8)
    people = poses.pred_instances
    shift = 48 * np.arange(8)
    people.keypoints = people.keypoints % [25, 50] + [8, 4]
    people.keypoints[..., 0] += shift[:, None]
    people.bboxes = np.array([2.0, 2, 40, 50]) + shift[:, None] * [1, 0, 1, 0]
    drawing = PoseDrawer(coco_meta, color_by='person').draw(image, poses)
    hsv = cv2.cvtColor(drawing, cv2.COLOR_BGR2HSV)
    hues = []
    for x in shift:
        person = hsv[:, x : x + 46].reshape(-1, 3)
        person = person[person[:, 2] > 100]  # not the blended ends of lines
        assert np.ptp(person[:, 0].astype(int)) <= 2
        hues.append(np.median(person[:, 0]))
    apart = np.diff(np.sort(hues))
    assert apart.min() >= 8  # of 180
    with pytest.raises(ValueError, match='color_by must be one of'):
        PoseDrawer(coco_meta, color_by='name')
