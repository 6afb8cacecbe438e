# SPDX-License-Identifier: Apache-2.0
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector
from mmengine.config import Config
from mmengine.registry import DefaultScope

from rmpe_plugin.apis import Frames, PersonDetector
from rmpe_plugin.utils.configs import find_config
from tests.test_apis.conftest import DETECTOR, randomize_head, save_untrained

# Its head is shared by the 80 categories, so that it is small.
COCO = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'


def mmdetection(model, image):
    """Detect with MMDetection's own function."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return inference_detector(model, image).pred_instances.numpy()


@pytest.fixture(scope='module')
def detector(detector_files):
    return PersonDetector(*detector_files, device='cpu', top_k=1000)


@pytest.fixture(scope='module')
def image(synthetic):
    return next(iter(Frames(synthetic / 'val'))).image


def test_equals_mmdetection(detector_files, image):
    _, checkpoint = detector_files
    # With NMS and scores as MMDetection has them; both functions run the same network.
    detector = PersonDetector(DETECTOR, checkpoint, device='cpu', top_k=1000)
    expected = mmdetection(detector.model, image)
    (people,) = detector([image])
    order = np.argsort(-expected.scores, kind='stable')
    assert len(people) == len(order) > 10
    np.testing.assert_array_equal(people.bboxes, expected.bboxes[order])
    np.testing.assert_array_equal(people.bbox_scores, expected.scores[order])


def test_batch_equals_single_images(detector, image):
    images = [image, image[:, ::-1].copy()]
    batch = detector(images)
    for one, people in zip(images, batch, strict=True):
        (expected,) = detector([one])
        assert len(people) == len(expected) > 100
        np.testing.assert_allclose(people.bboxes, expected.bboxes, atol=1e-2)
        np.testing.assert_allclose(people.bbox_scores, expected.bbox_scores, rtol=1e-4)
    assert np.abs(batch[0].bboxes - batch[1].bboxes).max() > 1
    assert detector([]) == []


def test_threshold_and_top_k(detector_files, detector, image):
    (everything,) = detector([image])
    threshold = float(everything.bbox_scores[5])
    strict = PersonDetector(*detector_files, device='cpu', score_thr=threshold, top_k=3)
    (people,) = strict([image])
    np.testing.assert_array_equal(people.bboxes, everything.bboxes[:3])
    strict.top_k = 1000
    (people,) = strict([image])
    assert len(people) == (everything.bbox_scores >= threshold).sum() >= 6


def test_returns_only_people_of_eighty_categories():
    detector = PersonDetector(find_config(COCO), device='cpu', top_k=10_000)
    assert detector.labels == (0,)
    randomize_head(detector.model)
    # Two categories, all of whose boxes are returned.
    head = detector.model.bbox_head
    head.test_cfg.max_per_img = 10_000
    for layer in head.rtm_cls:
        torch.nn.init.constant_(layer.bias[2:], -10.0)
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    everything = mmdetection(detector.model, image)
    (people,) = detector([image])
    assert 0 < len(people) == int((everything.labels == 0).sum()) < len(everything)


def test_raises_on_detector_without_person_class(detector_files, tmp_path):
    config, _ = detector_files
    meta = dict(classes=('cat', 'dog'))
    path = save_untrained(config, tmp_path / 'x.pth', 'mmdet', dataset_meta=meta)
    with pytest.raises(ValueError, match="has no class 'person', only cat, dog"):
        PersonDetector(config, path, device='cpu')


def test_grad_mode_and_default_scope_are_unchanged(detector, image):
    detector([image])
    assert torch.is_grad_enabled()
    assert DefaultScope.get_current_instance().scope_name == 'mmpose'


def test_raises_on_an_image_that_the_pipeline_fails_on(detector):
    with pytest.raises(ValueError, match="the detector's test pipeline failed"):
        detector.preprocess(np.zeros((1, 3000, 3), np.uint8))


def test_reads_the_checkpoint_once_without_warnings(detector_files, recwarn):
    with patch.object(torch, 'load', wraps=torch.load) as load:
        detector = PersonDetector(*detector_files, device='cpu')
    assert load.call_count == 1
    assert not [w for w in recwarn if 'COCO classes' in str(w.message)]
    assert detector.model.dataset_meta['classes'] == ('person',)


def test_raises_on_a_checkpoint_of_another_model(detector_files, cpn):
    with pytest.raises(ValueError, match='cpn.pth does not fit the model: it lacks'):
        PersonDetector(detector_files[0], cpn[1], device='cpu')


def test_raises_on_a_checkpoint_without_classes(detector_files, tmp_path):
    config, checkpoint = detector_files
    content = torch.load(checkpoint)
    torch.save(dict(content, meta=dict(epoch=1)), tmp_path / 'weights.pth')
    with pytest.raises(ValueError, match='weights.pth does not contain.*epoch'):
        PersonDetector(config, tmp_path / 'weights.pth', device='cpu')


def test_reads_the_classes_of_mmdetection_2(detector_files, tmp_path):
    config, checkpoint = detector_files
    content = dict(torch.load(checkpoint), meta=dict(CLASSES=('cat', 'person')))
    torch.save(content, tmp_path / 'weights.pth')
    detector = PersonDetector(config, tmp_path / 'weights.pth', device='cpu')
    assert detector.labels == (1,)


@pytest.mark.parametrize(
    ('resize', 'expected'),
    [
        (dict(type='Resize', scale=(160, 160)), (160, 160)),
        (dict(type='mmdet.Resize', scale=(320, 160)), (320, 160)),
        (dict(type='Resize', scale_factor=0.5), None),
    ],
)
def test_input_size_is_the_scale_of_resize(detector_files, tmp_path, resize, expected):
    config = Config.fromfile(detector_files[0])
    pipeline = config.test_dataloader.dataset.pipeline
    (index,) = (i for i, step in enumerate(pipeline) if step.type == 'Resize')
    pipeline[index] = dict(resize, keep_ratio=True)
    config.dump(tmp_path / 'detector.py')
    detector = PersonDetector(tmp_path / 'detector.py', detector_files[1], 'cpu')
    assert detector.input_size == expected
