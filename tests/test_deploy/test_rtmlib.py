# SPDX-License-Identifier: Apache-2.0
"""Exported files in the real rtmlib."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from rmpe_plugin.apis import OnnxPersonDetector, PersonDetector
from rmpe_plugin.deploy import (
    PersonDetectorGraph,
    RTMLibFormat,
    compare_detections,
    detector_graph,
    letterbox,
    open_session,
    rtmlib_graph,
    write_onnx,
)
from rmpe_plugin.deploy.rtmlib_graph import RTMLibNormalisation
from rmpe_plugin.inference import PoseGraph
from tests.conftest import ROOT
from tests.test_apis.conftest import save_untrained
from tests.test_apis.small_detectors import SIZE as DETECTOR_SIZE
from tests.test_apis.small_detectors import RandomGrid, write_detector
from tests.test_deploy.conftest import small_metadata, small_model

# Most of them need rtmlib, which is downloaded.
pytestmark = pytest.mark.slow

VERSION = '0.0.16'
DETECTOR = ROOT / 'configs' / 'quickstart' / 'rtmdet-small_synthetic-160x128.py'
SIZE = 160, 160


@pytest.fixture(scope='module')
def rtmlib(tmp_path_factory):
    """The package, without its second copy of OpenCV."""
    folder = tmp_path_factory.mktemp('rtmlib')
    command = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps']
    result = subprocess.run(
        [*command, '--target', folder, f'rtmlib=={VERSION}'], check=False
    )
    if result.returncode:
        pytest.skip(f'rtmlib {VERSION} cannot be downloaded')
    sys.path.insert(0, str(folder))
    yield pytest.importorskip('rtmlib')
    sys.path.remove(str(folder))


@pytest.fixture(scope='module')
def image(coco_cc):
    return cv2.imread(str(sorted(coco_cc.glob('*.jpg'))[0]))


@pytest.fixture(scope='module')
def pose_file(tmp_path_factory):
    """An exported SSTN with flip test, and its graph."""
    model = small_model('cpn', (0.1, 0.05, -0.1), sdtn='keypoints', flip_test=True)
    graph = PoseGraph(model).eval()
    form = RTMLibFormat(graph, small_metadata(model))
    path = tmp_path_factory.mktemp('pose') / 'pose.onnx'
    examples = form.examples()
    write_onnx(form.graph, examples, form.outputs, path, {}, form.dynamic_batch)
    return path, graph


@pytest.fixture(scope='module')
def detector_file(tmp_path_factory):
    """An exported detector, and the detector."""
    folder = tmp_path_factory.mktemp('detector')
    meta = dict(dataset_meta=dict(classes=('person',)))
    checkpoint = save_untrained(DETECTOR, folder / 'detector.pth', 'mmdet', **meta)
    detector = PersonDetector(DETECTOR, checkpoint, device='cpu', top_k=1000)
    for layer in detector.model.bbox_head.rtm_cls:
        # Scores in [0, 1] instead of nearly equal ones
        torch.nn.init.normal_(layer.weight, std=100)
        torch.nn.init.zeros_(layer.bias)
    graph = PersonDetectorGraph(detector.model, *detector.labels).eval()
    inputs = dict(input=torch.zeros(1, 3, *SIZE))
    path = folder / 'detector.onnx'
    write_onnx(graph, inputs, ['dets'], path, {}, dynamic_batch=False)
    return path, detector


@pytest.mark.parametrize(
    ('graph', 'mean', 'std'),
    [
        # rtmlib's RTMPose has these numbers in the order of RGB, for BGR images.
        (rtmlib_graph, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        (detector_graph, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    ],
)
def test_normalisations_of_rtmlib(graph, mean, std):
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 5)).astype(np.uint8)
    normalisation = RTMLibNormalisation(graph.MEAN, graph.STD)
    columns = (np.reshape(numbers, (3, 1, 1)) for numbers in (mean, std))
    mean, std = columns
    normalised = normalisation.apply_to(images)
    np.testing.assert_allclose(normalised, (images - mean) / std, rtol=1e-5)
    reverted = normalisation(torch.from_numpy(normalised))
    np.testing.assert_allclose(reverted, images, atol=1e-3)


def test_poses_on_the_crops_of_rtmlib(rtmlib, pose_file, image):
    path, graph = pose_file
    estimator = rtmlib.RTMPose(str(path), model_input_size=(64, 96))
    box = [60, 50, 260, 400]
    keypoints, scores = estimator(image, [box])

    # The crop of rtmlib before its normalisation
    mean, std = np.array(estimator.mean), np.array(estimator.std)
    crop, center, scale = estimator.preprocess(image, box)
    pixels = torch.from_numpy((crop * std + mean).round().astype(np.uint8))
    with torch.no_grad():
        expected, expected_scores = graph(pixels.permute(2, 0, 1)[None])
    expected = expected[0].numpy().clip(0, np.array([63.5, 95.5]))
    in_crop = (keypoints[0] - center + scale / 2) / scale * [64, 96]
    assert np.abs(in_crop - expected).max() <= 0.5
    np.testing.assert_allclose(scores, expected_scores.clip(1e-6), atol=1e-4)


def test_scores_below_the_range_keep_their_keypoints(pose_file):
    _, graph = pose_file
    form = RTMLibFormat(graph, small_metadata(graph.model))
    with torch.no_grad():
        vectors = form.graph(form.examples()['input'])
    for vector, bins in zip(vectors, (128, 192), strict=True):
        assert vector.shape == (1, 5, bins)
        assert ((vector > 0).sum(dim=-1) == 1).all()


def test_letterbox_is_that_of_rtmlib(rtmlib, detector_file, image):
    path, _ = detector_file
    detector = rtmlib.RTMDet(str(path), model_input_size=SIZE)
    expected, _ = detector.preprocess(image)
    mean, std = np.array(detector.mean), np.array(detector.std)
    boxed = letterbox(image, SIZE)
    np.testing.assert_allclose((boxed - mean) / std, expected, atol=1e-6)


def test_detections_equal_pytorch(detector_file, image):
    path, detector = detector_file
    images = [image, image[:, ::-1].copy(), image[::2]]
    comparison = compare_detections(open_session(path), detector, SIZE, images)
    assert comparison.expected == comparison.found > 10
    assert comparison.unequal == 0
    assert comparison.error < 0.1


def test_onnx_person_detector_equals_pytorch(detector_file, image):
    path, detector = detector_file
    crops = [image[100:260, 50:210], image[100:260, 210:50:-1].copy()]
    people = OnnxPersonDetector(path, 'cpu', score_thr=0.05, top_k=1000)(crops)
    for found, expected in zip(people, detector(crops), strict=True):
        expected = expected[expected.bbox_scores >= 0.05]
        assert len(found) == len(expected) > 5
        np.testing.assert_allclose(found.bboxes, expected.bboxes, atol=0.1)
        np.testing.assert_allclose(found.bbox_scores, expected.bbox_scores, atol=1e-3)


def test_yolox_equals_rtmlib(rtmlib, tmp_path, image):
    """Each box, in images of the size of the input, which are not resized."""
    path = write_detector(RandomGrid(), ['output'], tmp_path, dynamic=False)
    width, height = DETECTOR_SIZE
    theirs = rtmlib.YOLOX(str(path), (height, width), 'multiclass', score_thr=0.5)
    ours = OnnxPersonDetector(path, 'cpu', score_thr=0.5)
    for crop in (image[:height, :width], image[50 : 50 + height, 90 : 90 + width]):
        boxes, classes = theirs(crop)
        boxes = np.clip(boxes[classes == 0], 0, [width, height] * 2)
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        (people,) = ours([crop])
        assert len(people) == len(boxes) > 0
        np.testing.assert_allclose(people.bboxes, boxes, atol=1e-3)


class ChangedSession:
    """A session that returns changed detections."""

    def __init__(self, path, change):
        self.session, self.change = open_session(path), change

    def run(self, names, inputs):
        return [self.change(self.session.run(names, inputs)[0].copy())]


def test_comparison_finds_nan_and_boxes_in_wrong_images(detector_file, image):
    path, detector = detector_file

    def spoil(dets):
        dets[0, 0, 0] = np.nan
        return dets

    spoiled = compare_detections(ChangedSession(path, spoil), detector, SIZE, [image])
    assert np.isnan(spoiled.error)
    # one box fewer in the first image, twice as many in the second
    changes = iter((lambda dets: dets[:, 1:], lambda dets: dets.repeat(2, axis=1)))
    session = ChangedSession(path, lambda dets: next(changes)(dets))
    moved = compare_detections(session, detector, SIZE, [image, image])
    assert moved.unequal == 2


def test_complete_chain(rtmlib, detector_file, pose_file, image):
    chain = rtmlib.Custom(
        det_class='RTMDet',
        det=str(detector_file[0]),
        det_input_size=SIZE,
        pose_class='RTMPose',
        pose=str(pose_file[0]),
        pose_input_size=(64, 96),
    )
    chain.det_model.score_thr = 0.1
    people = len(chain.det_model(image))
    keypoints, scores = chain(image)
    assert keypoints.shape == (people, 5, 2)
    assert scores.shape == (people, 5)
    assert people > 0


@pytest.mark.parametrize('backend', ['opencv', 'openvino'])
def test_other_backends(rtmlib, pose_file, image, backend):
    if backend == 'openvino':
        pytest.importorskip('openvino')
    path = str(pose_file[0])
    poses = [
        rtmlib.RTMPose(path, model_input_size=(64, 96), backend=name)(image)
        for name in ('onnxruntime', backend)
    ]
    for expected, actual in zip(*poses, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_raises_on_other_detectors():
    config = Config.fromfile(
        ROOT / 'configs/detection/coco/yolov3_d53_ms-608-273e_coco-person.py'
    ).model
    config.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
    with pytest.raises(ValueError, match='RTMDetSepBNHead .*, got YOLOV3Head'):
        PersonDetectorGraph(model, 0)
