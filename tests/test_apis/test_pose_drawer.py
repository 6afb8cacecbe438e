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


@pytest.mark.parametrize('value', [np.nan, np.inf, -3e9, 1e30])
@pytest.mark.parametrize('color_by', ['keypoint', 'id'])
def test_draws_coordinates_of_any_size(coco_meta, value, color_by):
    poses = random_poses(2)
    poses.pred_instances.track_ids = np.array([1, 2])
    poses.pred_instances.bboxes[0, 2] = value
    poses.pred_instances.keypoints[0, 3] = value
    PoseDrawer(coco_meta, color_by=color_by).draw(IMAGE, poses)


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


def test_the_colour_of_an_id_is_the_same_in_all_frames(coco_meta):
    black = np.zeros((120, 200, 3), np.uint8)
    poses = random_poses(2)
    people = poses.pred_instances
    people.keypoints += [[[20, 40]], [[120, 40]]]
    people.bboxes = np.array([[20.0, 30, 80, 100], [120, 30, 180, 100]])
    drawer = PoseDrawer(coco_meta, color_by='id')
    with pytest.raises(ValueError, match="color_by='id' needs track_ids"):
        drawer.draw(black, poses)

    def hues(ids):
        """Median hue and saturation in each half, and the drawing."""
        people.track_ids = np.array(ids)
        drawing = drawer.draw(black, poses)
        hsv = cv2.cvtColor(drawing, cv2.COLOR_BGR2HSV).astype(int)
        halves = hsv[:, :100].reshape(-1, 3), hsv[:, 100:].reshape(-1, 3)
        shown = [half[half[:, 2] > 100] for half in halves]
        return [np.median(half, axis=0)[:2] for half in shown], drawing

    (first, second), drawing = hues([5, 9])
    (swapped, other), _ = hues([9, 5])
    np.testing.assert_allclose([first, second], [other, swapped], atol=1)
    assert abs(first[0] - second[0]) > 10
    (grey, _), without_number = hues([-1, 9])
    assert grey[1] == 0
    # The number of an id is in the corner of its box.
    corners = (x[32:45, 23:34] for x in (drawing, without_number))
    number, none = ((corner.max(axis=-1) > 100).sum() for corner in corners)
    assert number > none + 10
