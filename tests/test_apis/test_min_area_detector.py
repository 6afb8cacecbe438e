# SPDX-License-Identifier: Apache-2.0
from rmpe_plugin.apis import MinAreaDetector
from tests.test_apis.test_tiled_detector import BlobDetector, image_with


def test_smaller_boxes_are_dropped():
    detector = MinAreaDetector(BlobDetector(), 200)
    image = image_with((0, 0, 10, 20), (50, 0, 59, 22), (100, 0, 150, 50))
    people, small, empty = detector([image, image_with((0, 0, 9, 9)), image_with()])
    assert people.bboxes.tolist() == [[0, 0, 10, 20], [100, 0, 150, 50]]
    assert len(people.bbox_scores) == 2
    assert len(small) == len(empty) == 0
