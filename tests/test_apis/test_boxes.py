# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from rmpe_plugin.apis import Frames
from rmpe_plugin.apis.boxes import boxes_by_image, empty_boxes

IMAGE = np.zeros((4, 5, 3), np.uint8)
BOX = [1.0, 2.0, 3.0, 5.0]


@pytest.fixture
def frames():
    return Frames([IMAGE, IMAGE])


def test_arrays_with_and_without_scores(frames):
    people = boxes_by_image([np.array([[*BOX, 0.5]]), [BOX, BOX]], frames)
    assert people.keys() == {0, 1}
    np.testing.assert_array_equal(people[0].bboxes, [BOX])
    np.testing.assert_array_equal(people[0].bbox_scores, [0.5])
    np.testing.assert_array_equal(people[1].bbox_scores, [1, 1])


def test_images_without_boxes(frames):
    people = boxes_by_image([[], np.zeros((0, 5))], frames)
    assert [len(boxes) for boxes in people.values()] == [0, 0]
    assert empty_boxes().bboxes.shape == (0, 4)
    assert empty_boxes().bbox_scores.shape == (0,)


def test_boxes_by_image_id_and_from_a_file(frames, tmp_path):
    people = boxes_by_image({1: [BOX]}, frames)
    assert people.keys() == {1}
    records = [
        dict(image_id=1, category_id=1, bbox=[1, 2, 2, 3], score=0.25),
        dict(image_id=1, bbox=[1, 2, 2, 3], score=0.75),
        dict(image_id=1, category_id=3, bbox=[0, 0, 5, 4], score=0.9),  # a car
    ]
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(records))
    people = boxes_by_image(path, frames)
    np.testing.assert_array_equal(people[1].bboxes, [BOX, BOX])
    np.testing.assert_array_equal(people[1].bbox_scores, [0.25, 0.75])


def test_boxes_of_annotations(frames, tmp_path):
    people = [
        dict(
            id=i, image_id=i % 2, category_id=1, bbox=[1, 2, 2, 3], iscrowd=int(i == 2)
        )
        for i in range(4)
    ]
    people.append(dict(people[0], id=9, category_id=2))  # another category
    images = [dict(id=i, file_name='x', width=5, height=6) for i in range(2)]
    content = dict(images=images, annotations=people, categories=[dict(id=1, name='x')])
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(content, indent=1))
    boxes = boxes_by_image(path, frames)
    np.testing.assert_array_equal(boxes[0].bboxes, [BOX])
    np.testing.assert_array_equal(boxes[1].bboxes, [BOX, BOX])
    np.testing.assert_array_equal(boxes[1].bbox_scores, [1, 1])


def annotations(path, names, first_id=1):
    """Annotations whose boxes have x = 10 times the index of the image."""
    images = [dict(id=i, file_name=n) for i, n in enumerate(names, first_id)]
    people = [
        dict(id=i, image_id=first_id + i, category_id=1, bbox=[10 * i, 0, 5, 5])
        for i in range(len(names))
    ]
    path.write_text(json.dumps(dict(images=images, annotations=people)))
    return path


def test_annotations_of_other_ids_are_matched_by_name(tmp_path):
    names = [f'{i:06d}.png' for i in range(3)]
    for name in names:
        cv2.imwrite(str(tmp_path / name), IMAGE)
    path = annotations(tmp_path / 'a.json', names)
    people = boxes_by_image(path, Frames([tmp_path / name for name in names]))
    assert {i: boxes.bboxes[0, 0] for i, boxes in people.items()} == {
        0: 0,
        1: 10,
        2: 20,
    }


def test_annotations_of_a_video(tmp_path, video):
    path = annotations(tmp_path / 'a.json', [f'frame_{i:06d}.PNG' for i in range(10)])
    people = boxes_by_image(path, Frames(video))
    assert {i: b.bboxes[0, 0] for i, b in people.items()} == {
        i: 10 * i for i in range(10)
    }
    path = annotations(
        tmp_path / 'b.json', [f'frame_{i:06d}.PNG' for i in range(1, 11)]
    )
    with pytest.raises(
        ValueError, match='frame 10, but the video has the frames 0 to 9'
    ):
        boxes_by_image(path, Frames(video))


def test_boxes_of_videos_and_images(tmp_path, video):
    cv2.imwrite(str(tmp_path / '7.png'), IMAGE)
    records = [
        dict(image_id=i, bbox=[1, 2, 2, 3], score=1) for i in (7, 'walk/2', 'run/2')
    ]
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(records))
    people = boxes_by_image(path, Frames([video, tmp_path / '7.png']))
    assert people.keys() == {7, 'walk/2'}


def test_arrays_in_the_order_of_a_video(video):
    people = boxes_by_image([[BOX]] * 10, Frames(video))
    assert people.keys() == {*range(10)}
    with pytest.raises(ValueError, match='got boxes of 9 images, expected 10'):
        boxes_by_image([[BOX]] * 9, Frames(video))


@pytest.mark.parametrize(
    ('boxes', 'message'),
    [
        ([[BOX]], 'boxes of 1 images, expected 2'),
        ([[BOX], [BOX[:3]]], r'must have shape \(N, 4\).*got \(1, 3\)'),
        ([[BOX], BOX], r'got \(4,\)'),
        (
            [[BOX], [[1, 2, 1, 5]]],
            'image 1: a box must be finite and have a positive area',
        ),
        ([[[1, 2, np.nan, 5]], [BOX]], 'image 0: a box must be finite'),
        ({5: [BOX]}, r'no box belongs to any image: image ids of the boxes are \[5\]'),
    ],
)
def test_raises_on_invalid_boxes(frames, boxes, message):
    with pytest.raises(ValueError, match=message):
        boxes_by_image(boxes, frames)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{}', 'must hold COCO annotations: images and annotations'),
        ('3', 'must be a list of COCO results'),
        ('[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', 'result 0 has no score'),
        ('[', 'is not JSON'),
        (
            '[{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}]',
            r'boxes.json: no box has category_id 1 \(person\), got 3',
        ),
    ],
)
def test_raises_on_invalid_file(frames, tmp_path, text, message):
    path = tmp_path / 'boxes.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        boxes_by_image(path, frames)
