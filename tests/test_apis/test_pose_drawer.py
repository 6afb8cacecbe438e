# SPDX-License-Identifier: Apache-2.0
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
