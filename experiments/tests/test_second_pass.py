# SPDX-License-Identifier: Apache-2.0
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.structures import InstanceData

from experiments.second_pass import Accuracy, measure, read_boxes, summarise
from rmpe_plugin.apis import Frame

# The last keypoint is not labelled.
POSE = np.array([[0.0, 10], [20, 30], [20, 50], [10, 40], [10, 30]])
SIGMAS = np.full(5, 0.1)


def annotation(image_id=1, number=1):
    triples = np.column_stack((POSE, [2, 1, 2, 2, 0]))
    return dict(
        id=number, image_id=image_id, category_id=1, iscrowd=0, area=4000.0,
        bbox=[0.0, 0, 40, 60], keypoints=triples.ravel().tolist(), num_keypoints=4,
    )  # fmt: skip


def write(path, people):
    images = [dict(id=i, file_name=f'{i}.jpg', width=99, height=99) for i in (1, 2)]
    categories = [dict(id=1, name='person')]
    path.write_text(
        json.dumps(dict(images=images, annotations=people, categories=categories))
    )
    return path


class FakeInferencer:
    """Moves all keypoints by the left edge of the box."""

    dataset_meta = dict(sigmas=SIGMAS, num_keypoints=5)

    def __init__(self):
        self.boxes = []

    def estimate(self, frames, people):
        boxes = people[0].bboxes
        self.boxes.append(boxes)
        keypoints = POSE + boxes[:, None, :1] * [1.0, 0]
        return [
            InstanceData(
                keypoints=keypoints, keypoint_scores=np.ones(keypoints.shape[:2])
            )
        ]


@pytest.fixture
def boxes(tmp_path):
    return read_boxes(write(tmp_path / 'ann.json', [annotation()]), None, 5)


def test_errors_have_their_size(boxes):
    many = boxes['annotated'].select(np.zeros(5000, int))
    moved = many.perturbed(0.1, np.random.default_rng(0))
    error = (moved.people.detections - moved.people.gt_bboxes) / [40, 60, 40, 60]
    assert len(moved.areas) == len(error) == 8 * 5000
    np.testing.assert_allclose(error.std(axis=0), 0.1, rtol=0.02)
    np.testing.assert_allclose(error.mean(axis=0), 0, atol=0.002)


def test_corners_stay_in_order(boxes):
    many = boxes['annotated'].select(np.zeros(100, int))
    moved = many.perturbed(2.0, np.random.default_rng(0)).people.detections
    assert (moved[:, 2:] >= moved[:, :2]).all()


def test_measures_both_passes(boxes):
    people = boxes['annotated'].people
    people.detections = people.gt_bboxes + [10.0, 0, 0, 0]
    inferencer = FakeInferencer()
    frame = Frame(1, '1.jpg', np.zeros((99, 99, 3), np.uint8))
    found = measure(inferencer, frame, boxes['annotated'])
    # The extent of the moved pose, with a margin of a tenth: 10 - 2, 10 - 4, ...
    np.testing.assert_allclose(inferencer.boxes, [[[10, 0, 40, 60]], [[8, 6, 32, 54]]])
    first, second = (
        (np.exp(-(error**2) / (2 * 4000 * 0.2**2)) >= np.linspace(0.5, 0.95, 10)).mean()
        for error in (10, 8)
    )
    assert first < second
    assert found == (1, pytest.approx(0.75), first, second)


def test_reads_a_detector(tmp_path):
    ann = write(tmp_path / 'ann.json', [annotation(), annotation(2, 2)])
    det = tmp_path / 'det.json'
    box = dict(image_id=2, category_id=1, bbox=[0, 0, 40, 50], score=0.9)
    det.write_text(json.dumps([box]))
    found = read_boxes(ann, det, 5)
    assert [*found][-1] == str(det)
    assert found[str(det)].people.image_ids.tolist() == [2]
    np.testing.assert_array_equal(found[str(det)].people.detections, [[0, 0, 40, 50]])


def test_an_unreadable_image_is_named(boxes):
    frame = Frame(1, '1.jpg', error='is empty')
    with pytest.raises(ValueError, match='1.jpg: is empty'):
        measure(SimpleNamespace(), frame, boxes['annotated'])


def test_summary():
    images = [Accuracy(1, 0.5, 0.2, 0.4), Accuracy(3, 2.5, 1.0, 1.6)]
    number, iou, first, change = summarise(images)
    assert (number, iou, first) == ('4', '0.750', '30.0')
    # One image twice, or both: 0.2, 0.2 or 0.8 / 4.
    assert change == '+20.0 (+20.0 to +20.0)'


def test_interval_is_of_the_images():
    images = [Accuracy(1, 1, 0, i / 100) for i in range(100)]
    *_, change = summarise(images)
    means = np.random.default_rng(1).choice(np.arange(100), (20000, 100)).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    found = change.replace('(', '').replace(')', '').replace('to ', '').split()
    np.testing.assert_allclose([float(x) for x in found], [49.5, low, high], atol=0.8)
