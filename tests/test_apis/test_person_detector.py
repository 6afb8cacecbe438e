# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector
from mmengine.registry import DefaultScope

from rmpe_plugin.apis import Frame, Frames, PersonDetector
from tests.test_apis.conftest import find_anything, save_untrained

# Its head is shared, so that 80 categories cost nothing.
COCO = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'


def by_mmdetection(model, image):
    """What MMDetection's own function finds."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return inference_detector(model, image).pred_instances.numpy()


@pytest.fixture(scope='module')
def detector(detector_files):
    return PersonDetector(*detector_files, device='cpu', top_k=1000)


@pytest.fixture(scope='module')
def image(synthetic):
    return next(iter(Frames(synthetic / 'val'))).image


def test_finds_what_mmdetection_finds(detector, image):
    wanted = by_mmdetection(detector.model, image)
    (found,) = detector.detect([detector.prepare(image)])
    order = np.argsort(-wanted.scores, kind='stable')
    assert len(found) == len(order) > 10
    np.testing.assert_array_equal(found.bboxes, wanted.bboxes[order])
    np.testing.assert_array_equal(found.bbox_scores, wanted.scores[order])


def test_a_batch_is_its_images(detector, image):
    images = [image, image[:, ::-1].copy()]
    together = detector.detect([detector.prepare(x) for x in images])
    for one, found in zip(images, together, strict=True):
        (alone,) = detector.detect([detector.prepare(one)])
        np.testing.assert_allclose(found.bboxes, alone.bboxes, atol=1e-2)
    assert detector.detect([]) == []


def test_threshold_and_top_k(detector_files, detector, image):
    (everybody,) = detector.detect([detector.prepare(image)])
    least = float(everybody.bbox_scores[5])
    few = PersonDetector(*detector_files, device='cpu', score_thr=least, top_k=3)
    (found,) = few.detect([few.prepare(image)])
    np.testing.assert_array_equal(found.bboxes, everybody.bboxes[:3])
    few.top_k = 1000
    (found,) = few.detect([few.prepare(image)])
    assert len(found) == (everybody.bbox_scores >= least).sum() >= 6


def test_of_eighty_categories_people_alone():
    with pytest.warns(UserWarning, match='COCO classes'):
        detector = PersonDetector(COCO, None, device='cpu', top_k=1000)
    assert detector.label == 0
    find_anything(detector.model)
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    everything = by_mmdetection(detector.model, image)
    (found,) = detector.detect([detector.prepare(image)])
    assert 0 < len(found) == int((everything.labels == 0).sum()) < len(everything)


def test_a_detector_of_other_things_is_refused(detector_files, tmp_path):
    config, _ = detector_files
    meta = dict(classes=('cat', 'dog'))
    path = save_untrained(config, tmp_path / 'x.pth', 'mmdet', dataset_meta=meta)
    with pytest.raises(ValueError, match='knows no person, only cat, dog'):
        PersonDetector(config, path, device='cpu')


def test_a_strip_that_the_pipeline_refuses_is_reported(detector, image):
    frames = [
        Frame(0, 'good', image),
        Frame(1, 'strip', np.zeros((1, 3000, 3), np.uint8)),
        Frame(2, 'lost', error='gone'),
    ]
    found = detector.find(frames)
    assert found.keys() == {0}
    assert len(found[0])
    assert 'the detector refuses it' in frames[1].error
    assert frames[1].image is None
    assert frames[2].error == 'gone'


def test_grad_and_scope_are_left_as_they_were(detector, image):
    detector.detect([detector.prepare(image)])
    assert torch.is_grad_enabled()
    assert DefaultScope.get_current_instance().scope_name == 'mmpose'
