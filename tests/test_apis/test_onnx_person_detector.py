# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from rmpe_plugin.apis import (
    Frames,
    OnnxPersonDetector,
    TiledDetector,
    find_detector,
    load_detector,
)
from rmpe_plugin.deploy.letterboxing import MEAN, STD
from rmpe_plugin.fitting.matching import match_detections
from rmpe_plugin.structures import boxes_to_records, read_annotations
from tests.test_apis.small_detectors import (
    SIZE,
    FixedBoxes,
    RandomGrid,
    write_detector,
)

SHA256 = '9e557e8bc1c3bb42043651df5dafe89f9cf375440ac7da5b6216a542722c7fe3'

PERSON_FILE = find_detector('person').config


@pytest.fixture(scope='module', params=[True, False], ids=['batch', 'one by one'])
def boxes_file(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('boxes')
    return write_detector(FixedBoxes(), ['dets', 'labels'], folder, request.param)


@pytest.fixture(scope='module')
def grid_file(tmp_path_factory):
    return write_detector(RandomGrid(), ['output'], tmp_path_factory.mktemp('grid'))


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    shapes = ((64, 96, 3), (200, 100, 3), (30, 90, 3))
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def test_included_weights_have_the_checksum_of_the_model_card():
    content = PERSON_FILE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    card = (PERSON_FILE.parents[2] / 'docs' / 'model_cards.md').read_text()
    assert SHA256 in card


@pytest.mark.parametrize(
    ('tiles', 'found', 'wrong'),
    [(False, 48, 20), pytest.param(True, 55, 45, marks=pytest.mark.slow)],
)
def test_included_detector_finds_people_in_photographs(coco_cc, tiles, found, wrong):
    detector = load_detector('person', device='cpu')
    if tiles:
        detector = TiledDetector(detector)
    frames = [*Frames(sorted(coco_cc.glob('*.jpg')))]
    people = detector([frame.image for frame in frames])
    records = [
        record
        for frame, boxes in zip(frames, people, strict=True)
        for record in boxes_to_records(frame.image_id, boxes)
    ]
    annotations = read_annotations(coco_cc / 'person_keypoints_cc.json')
    _, counts = match_detections(annotations, records)
    people, detections = counts['people'], counts['detections']
    assert people['matched'] + people['no labelled keypoints'] >= found
    assert detections['no person with IoU >= 0.5'] <= wrong


def assert_batch_equals_single_images(detector, images):
    for image, people in zip(images, detector(images), strict=True):
        (expected,) = detector([image])
        assert len(people) == len(expected) > 1
        np.testing.assert_allclose(people.bboxes, expected.bboxes, rtol=1e-4)
        np.testing.assert_allclose(people.bbox_scores, expected.bbox_scores, rtol=1e-4)
    assert detector([]) == []


def test_batch_equals_single_images(boxes_file, images):
    detector = OnnxPersonDetector(boxes_file, 'cpu')
    assert_batch_equals_single_images(detector, images)
    # The last scores are those of each image.
    assert len({people.bbox_scores[-1] for people in detector(images)}) == 3


def test_batch_equals_single_images_without_nms_in_the_file(grid_file, images):
    assert_batch_equals_single_images(OnnxPersonDetector(grid_file, 'cpu'), images)


def test_boxes_are_in_pixels_of_the_image(boxes_file):
    """Twice as large as the input; other classes and empty boxes are dropped."""
    image = np.full((64, 192, 3), 51, np.uint8)  # its mean with the padding: 82.5
    detector = OnnxPersonDetector(boxes_file, 'cpu')
    assert detector.input_size == SIZE
    (people,) = detector([image])
    expected = [[0, 0, 96, 64], [16, 0, 80, 64], [40, 20, 80, 60]]
    np.testing.assert_allclose(people.bboxes, expected)
    np.testing.assert_allclose(people.bbox_scores, [0.9, 0.6, 82.5 / 255], rtol=1e-5)
    assert people.bboxes.dtype == people.bbox_scores.dtype == np.float32

    (strict,) = OnnxPersonDetector(boxes_file, 'cpu', score_thr=0.6)([image])
    assert len(strict) == 2
    (best,) = OnnxPersonDetector(boxes_file, 'cpu', top_k=1)([image])
    np.testing.assert_allclose(best.bboxes, expected[:1])


def test_raw_yolox_suppresses_people_but_not_in_other_images(grid_file, images):
    detector = OnnxPersonDetector(grid_file, 'cpu', top_k=1000)
    (people,) = detector(images[:1])
    detector.format = detector.format._replace(iou_threshold=1.0)
    (everyone,) = detector(images[:1])
    assert 10 < len(people) < len(everyone)
    overlaps = box_iou(*[torch.from_numpy(people.bboxes)] * 2).fill_diagonal_(0)
    assert overlaps.max() <= 0.45
    assert (np.diff(people.bbox_scores) <= 0).all()


@pytest.mark.parametrize(
    ('file_format', 'mean', 'std', 'padding'),
    [
        (None, (0, 0, 0), (1, 1, 1), 114),
        ('rtmdet', MEAN, STD, 114),
        ('nanodet', MEAN, STD, 0),
    ],
)
def test_input_of_each_format(boxes_file, file_format, mean, std, padding):
    detector = OnnxPersonDetector(boxes_file, 'cpu', file_format=file_format)
    color = np.array([10, 20, 30], np.uint8)  # BGR
    pixels = detector.preprocess(np.tile(color, (64, 192, 1))).pixels
    assert pixels.dtype == np.float32
    normalised = pixels.transpose(1, 2, 0)
    expected = (color - np.array(mean)) / std
    np.testing.assert_allclose(normalised[:32], np.tile(expected, (32, 96, 1)), 1e-5)
    expected = (padding - np.array(mean)) / std
    np.testing.assert_allclose(normalised[32:], np.tile(expected, (32, 96, 1)), 1e-5)


def test_large_images_are_averaged(boxes_file):
    """A pattern of single pixels becomes grey."""
    image = np.zeros((64 * 8, 96 * 8, 3), np.uint8)
    image[1::4, 1::4] = 255
    pixels = OnnxPersonDetector(boxes_file, 'cpu').preprocess(image).pixels
    np.testing.assert_allclose(pixels, 255 / 16, atol=0.6)


def test_a_strip_of_one_pixel_can_be_prepared(boxes_file):
    (people,) = OnnxPersonDetector(boxes_file, 'cpu')([np.zeros((1, 5000, 3), 'u1')])
    assert (people.bboxes[:, 3] <= 1).all()


def test_raises_on_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='no.onnx does not exist'):
        OnnxPersonDetector(tmp_path / 'no.onnx')
    (tmp_path / 'x.onnx').write_bytes(b'<html>')
    with pytest.raises(ValueError, match='cannot load .*x.onnx'):
        OnnxPersonDetector(tmp_path / 'x.onnx')


def test_raises_on_an_unknown_file_format(boxes_file):
    with pytest.raises(ValueError, match="file_format must be in .*'yolox'.*got yolo"):
        OnnxPersonDetector(boxes_file, 'cpu', file_format='yolo')
