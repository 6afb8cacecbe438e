# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData

from rmpe_plugin.apis import Detector, TiledDetector
from rmpe_plugin.apis.tiled_detector import tile_regions


class BlobDetector(Detector):
    """Boxes of white regions that fill a share of the image or more."""

    def __init__(self, share=0.0):
        self.share, self.batches = share, []

    def preprocess(self, image):
        return image

    def predict(self, inputs):
        self.batches.append(len(inputs))
        return [self.find(image) for image in inputs]

    def find(self, image):
        stats = cv2.connectedComponentsWithStats(image[..., 0])[2][1:]
        boxes = stats[:, :4].astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        large = stats[:, 4] >= self.share * image.shape[0] * image.shape[1]
        scores = 0.5 + stats[:, 4] / 1e4
        return InstanceData(
            bboxes=boxes[large], bbox_scores=scores[large].astype(np.float32)
        )


def image_with(*boxes, size=(200, 100)):
    image = np.zeros((*size[::-1], 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


SMALL = [(4, 6, 12, 20), (90, 40, 110, 60), (170, 70, 182, 90), (104, 4, 126, 26)]
# At the borders of the image, and across the inner borders of all tiles.
LARGE = (0, 30, 200, 38)


def test_each_person_is_found_once_and_whole():
    detector = TiledDetector(BlobDetector())
    image = image_with(*SMALL, LARGE)
    people, empty = detector([image, image_with()])
    found = sorted(map(tuple, people.bboxes.astype(int).tolist()))
    assert found == sorted([*SMALL, LARGE])
    assert (np.diff(people.bbox_scores) <= 0).all()
    assert len(empty) == 0
    assert empty.bboxes.shape == (0, 4)
    # all views of all images in one call
    assert detector.detector.batches == [10]


def test_finds_people_who_are_too_small_for_the_whole_image():
    image = image_with(*SMALL)
    plain = BlobDetector(share=0.015)
    assert len(plain([image])[0]) == 2
    (people,) = TiledDetector(plain)([image])
    assert len(people) == 4


# The left tiles end at x = 120, the upper ones at y = 60.
@pytest.mark.parametrize('person', [(110, 10, 170, 20), (10, 50, 20, 95)])
def test_people_who_are_cut_by_inner_borders_are_dropped(person):
    (people,) = TiledDetector(BlobDetector())([image_with(person)])
    np.testing.assert_array_equal(people.bboxes, [person])


@pytest.mark.parametrize('size', [(200, 100), (7, 5), (1, 1), (641, 427)])
def test_regions(size):
    regions = tile_regions(*size)
    assert regions.shape == (5, 4)
    np.testing.assert_array_equal(regions[0], [0, 0, *size])
    sides = regions[1:, 2:] - regions[1:, :2]
    np.testing.assert_array_equal(
        sides, np.tile(np.ceil(np.multiply(size, 0.6)), (4, 1))
    )
    np.testing.assert_array_equal(regions[1], [0, 0, *sides[0]])
    np.testing.assert_array_equal(regions[4, 2:], size)
    covered = np.zeros(size[::-1], bool)
    for x1, y1, x2, y2 in regions[1:]:
        covered[y1:y2, x1:x2] = True
    assert covered.all()
