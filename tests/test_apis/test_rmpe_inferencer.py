# SPDX-License-Identifier: Apache-2.0
import json
import threading
import time
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.apis import inference_topdown

from rmpe_plugin.apis import (
    Frames,
    PersonDetector,
    RMPEInferencer,
    load_detector,
)
from rmpe_plugin.evaluation.metrics import PoseNMSCocoMetric
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from rmpe_plugin.structures import person_scores

BOXES = [
    np.array(
        [[10.0, 20, 90, 200, 0.9], [12, 22, 92, 198, 0.8], [150, 5, 220, 120, 0.3]]
    ),
    np.zeros((0, 5)),
    np.array([[0.0, 0, 300, 230, 0.5]]),
    np.array([[30.0, 30, 80, 120, 0.7], [-20, -10, 50, 300, 0.6]]),
]


@pytest.fixture(scope='module')
def images(synthetic):
    return [frame.image for frame in Frames(synthetic / 'val')]


@pytest.fixture(scope='module')
def plain(cpn):
    """An inferencer without pose NMS."""
    return RMPEInferencer(*cpn, device='cpu', pose_nms=None)


def test_poses_of_given_boxes_equal_mmpose(plain, images):
    results = list(plain(images, BOXES))
    assert [len(p.poses.pred_instances) for p in results] == [3, 0, 1, 2]
    for image, boxes, result in zip(images, BOXES, results, strict=True):
        if not len(boxes):
            continue
        expected = inference_topdown(
            plain.estimator.model, image, boxes[:, :4].astype(np.float32)
        )
        keypoints = np.concatenate([e.pred_instances.keypoints for e in expected])
        poses = result.poses.pred_instances
        # Sorted by decreasing score.
        np.testing.assert_array_equal(poses.scores, -np.sort(-poses.scores))
        order = [np.abs(poses.bboxes - b[:4]).sum(axis=1).argmin() for b in boxes]
        np.testing.assert_allclose(poses.keypoints[order], keypoints, atol=1e-3)
        np.testing.assert_allclose(poses.bbox_scores[order], boxes[:, 4], rtol=1e-6)


@pytest.mark.parametrize('pose_nms', [None, 'rmpe-mpii'])
def test_people_are_sorted_by_their_score(cpn, images, pose_nms):
    inferencer = RMPEInferencer(
        *cpn, device='cpu', pose_nms=pose_nms, score_mode='bbox'
    )
    boxes = [[10, 20, 90, 200, 0.3], [150, 5, 220, 120, 0.9], [220, 90, 300, 200, 0.6]]
    (result,) = inferencer(images[:1], [np.array(boxes)])
    poses = result.poses.pred_instances
    np.testing.assert_allclose(poses.scores, [0.9, 0.6, 0.3])
    np.testing.assert_allclose(poses.bboxes[:, 0], [150, 220, 10])


@pytest.mark.parametrize('score_mode', ['bbox_keypoint', 'alphapose'])
def test_scores_are_those_of_the_model(cpn, images, score_mode):
    inferencer = RMPEInferencer(
        *cpn, device='cpu', pose_nms=None, score_mode=score_mode
    )
    (result,) = inferencer(images[:1], BOXES[:1])
    poses = result.poses.pred_instances
    samples = inference_topdown(
        inferencer.estimator.model, images[0], BOXES[0][:, :4].astype(np.float32)
    )
    raw = InstanceData.cat([sample.pred_instances for sample in samples])
    raw.bbox_scores = BOXES[0][:, 4]
    scores = person_scores(raw, score_mode)
    order = np.argsort(-scores, kind='stable')
    np.testing.assert_allclose(poses.scores, scores[order], rtol=1e-5)
    for name in ('keypoint_scores', 'keypoints_visible'):
        np.testing.assert_allclose(
            poses[name], raw.keypoint_scores[order], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(('image_batch', 'person_batch'), [(1, 1), (2, 4), (9, 99)])
def test_results_do_not_depend_on_batch_sizes(
    cpn, plain, images, image_batch, person_batch
):
    other = RMPEInferencer(
        *cpn,
        device='cpu',
        pose_nms=None,
        image_batch=image_batch,
        person_batch=person_batch,
    )
    for a, b in zip(plain(images, BOXES), other(images, BOXES), strict=True):
        a, b = a.poses.pred_instances, b.poses.pred_instances
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)


@pytest.mark.parametrize('score_mode', ['bbox', 'alphapose'])
def test_pose_nms_uses_the_scores_of_the_score_mode(cpn, images, score_mode):
    params = PoseNMSParams.preset('rmpe-mpii')
    plain, suppressing = (
        RMPEInferencer(*cpn, device='cpu', pose_nms=nms, score_mode=score_mode)
        for nms in (None, 'rmpe-mpii')
    )
    boxes = [np.repeat(b, 3, axis=0) for b in BOXES]
    for before, after in zip(
        plain(images, boxes), suppressing(images, boxes), strict=True
    ):
        poses, kept = before.poses.pred_instances, after.poses.pred_instances
        assert len(kept) <= len(poses) / 3
        if not len(poses):
            continue
        scores = poses.scores
        result = parametric_pose_nms(
            poses.keypoints, poses.keypoint_scores, poses.bboxes, params, scores
        )
        np.testing.assert_allclose(kept.keypoints, result.keypoints, atol=1e-3)
        np.testing.assert_allclose(kept.scores, scores[result.keep], rtol=1e-6)


@pytest.mark.parametrize('pose_nms', ['alphapose-coco', 'rmpe-mpii'])
def test_metric_keeps_the_same_poses(cpn, images, synthetic, tmp_path, pose_nms):
    """Also with a calibration, which moves scores over a threshold of pose NMS."""
    calibration = {'model.head.decoder.calibration': (9.0, -0.5)}
    inferencer = RMPEInferencer(
        *cpn, device='cpu', pose_nms=pose_nms, cfg_options=calibration
    )
    rng = np.random.default_rng(0)
    boxes = [
        np.repeat(b, 3, axis=0) + rng.uniform(0, 2e-2, (3 * len(b), 5)) for b in BOXES
    ]
    metric = PoseNMSCocoMetric(
        ann_file=str(synthetic / 'annotations' / 'person_keypoints_val.json'),
        pose_nms=pose_nms,
        score_offset=0.5,
        format_only=True,
        outfile_prefix=str(tmp_path / 'results'),
    )
    metric.dataset_meta = inferencer.dataset_meta
    estimator = inferencer.estimator
    for i, (image, array) in enumerate(zip(images, boxes, strict=True)):
        people = InstanceData(bboxes=array[:, :4], bbox_scores=array[:, 4])
        for j, crop in enumerate(estimator.crops([image], [people])):
            crop['data_samples'].set_metainfo(dict(id=(i, j), img_id=i))
            (sample,) = estimator.model.test_step(pseudo_collate([crop]))
            metric.process([], [sample.to_dict()])
    metric.evaluate(sum(map(len, boxes)))
    records = json.loads((tmp_path / 'results.keypoints.json').read_text())
    assert records
    for i, result in enumerate(inferencer(images, boxes)):
        kept = np.array([r['bbox'] for r in records if r['image_id'] == i])
        poses = result.poses.pred_instances
        assert len(kept) == len(poses)
        if len(kept):
            kept[:, 2:] += kept[:, :2]
            np.testing.assert_allclose(kept, poses.bboxes, atol=1e-2)


def test_pose_nms_filters_people_without_evidence(cpn, images):
    """AlphaPose drops people whose best keypoint has a score below 0.3."""
    kept, everyone = (
        RMPEInferencer(*cpn, 'whole_image', device='cpu', pose_nms=nms)
        for nms in ('alphapose-coco', None)
    )
    (before,), (after,) = everyone(images[0]), kept(images[0])
    assert before.poses.pred_instances.keypoint_scores.max() < 0.3
    assert len(after.poses.pred_instances) == 0


def test_pose_nms_parameters_from_a_file(cpn, images, tmp_path):
    path = tmp_path / 'nms.json'
    PoseNMSParams.preset('rmpe-paper').to_json(path)
    inferencer = RMPEInferencer(*cpn, device='cpu', pose_nms=str(path))
    assert inferencer.pose_nms == PoseNMSParams.preset('rmpe-paper')


def test_detector_and_whole_image(cpn, detector_files, images):
    detector = PersonDetector(*detector_files, device='cpu', top_k=2)
    inferencer = RMPEInferencer(*cpn, detector, device='cpu', pose_nms=None)
    for image, result in zip(images, inferencer(images), strict=True):
        (boxes,) = detector([image])
        poses = result.poses.pred_instances
        order = np.argsort(poses.bbox_scores)[::-1]
        np.testing.assert_allclose(poses.bboxes[order], boxes.bboxes, atol=0.01)

    whole = RMPEInferencer(*cpn, 'whole_image', device='cpu', pose_nms=None)
    (result,) = whole(images[0])
    height, width = images[0].shape[:2]
    np.testing.assert_array_equal(
        result.poses.pred_instances.bboxes, [[0, 0, width, height]]
    )


def test_the_included_detector_is_the_default(cpn, coco_cc):
    photograph = coco_cc / '000000234748.jpg'
    inferencer = RMPEInferencer(*cpn, device='cpu', pose_nms=None)
    (result,) = inferencer(photograph)
    (expected,) = load_detector('person', device='cpu')([result.frame.image])
    poses = result.poses.pred_instances
    order = np.argsort(-poses.bbox_scores, kind='stable')
    assert len(expected) >= 1
    np.testing.assert_array_equal(poses.bboxes[order], expected.bboxes)
    # Boxes can still be given.
    (given,) = inferencer(photograph, [[[273, 130, 417, 384]]])
    np.testing.assert_array_equal(
        given.poses.pred_instances.bboxes, [[273, 130, 417, 384]]
    )


def test_image_without_detections_has_no_poses(cpn, detector_files, images):
    detector = PersonDetector(*detector_files, device='cpu', score_thr=1.1)
    inferencer = RMPEInferencer(*cpn, detector, device='cpu')
    for result in inferencer(images):
        poses = result.poses.pred_instances
        assert len(poses) == 0
        assert poses.keypoints.shape == (0, 17, 2)
        assert not result.frame.error


def test_unusual_image_shapes(cpn, detector_files):
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, shape, dtype=np.uint8)
        for shape in [(50, 60), (50, 60, 1), (50, 60, 4), (1, 1, 3), (4000, 5000, 3)]
    ]
    images.insert(3, np.zeros((2, 2, 2), np.uint8))
    detector = PersonDetector(*detector_files, device='cpu', top_k=2)
    for boxes in (detector, 'whole_image'):
        inferencer = RMPEInferencer(*cpn, boxes, device='cpu', pose_nms=None)
        results = list(inferencer(images))
        assert [bool(p.frame.error) for p in results] == [i == 3 for i in range(6)]
        for result in results:
            assert np.isfinite(result.poses.pred_instances.keypoints).all()
        assert len(results[0].poses.pred_instances)
        assert not len(results[3].poses.pred_instances)


def test_unreadable_image_has_an_error_and_no_poses(plain, images, tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), images[0])
    (tmp_path / '2.png').write_bytes(b'broken')
    boxes = {1: BOXES[0], 2: BOXES[0]}
    good, bad = plain(tmp_path, boxes)
    assert len(good.poses.pred_instances) == 3
    assert good.poses.img_id == 1
    assert bad.frame.error
    assert not len(bad.poses.pred_instances)


def test_interrupted_inference_leaves_no_thread(plain, synthetic):
    results = plain(synthetic / 'val', {1: BOXES[0]})
    next(results)
    results.close()
    deadline = time.monotonic() + 10
    while any(t.name.startswith('read_ahead') for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_boxes_from_a_file_are_assigned_by_file_names(plain, synthetic):
    boxes = synthetic / 'annotations' / 'person_detections_val.json'
    numbers = Counter(record['image_id'] for record in json.loads(boxes.read_text()))
    for frame, poses in plain(synthetic / 'val', boxes):
        assert len(poses.pred_instances) == numbers[frame.image_id]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_equals_cpu(cpn, plain, images):
    on_cuda = RMPEInferencer(*cpn, device='cuda', pose_nms=None)
    for a, b in zip(plain(images, BOXES), on_cuda(images, BOXES), strict=True):
        a, b = a.poses.pred_instances, b.poses.pred_instances
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-3)


def test_given_config_is_not_changed(cpn):
    config, checkpoint = cpn
    config = Config.fromfile(config)
    before = config.to_dict()
    options = {'model.test_cfg.flip_test': False}
    inferencer = RMPEInferencer(config, checkpoint, device='cpu', cfg_options=options)
    assert inferencer.estimator.model.test_cfg.flip_test is False
    assert config.to_dict() == before


def test_raises_on_invalid_settings(cpn, images):
    with pytest.raises(ValueError, match='got both'):
        RMPEInferencer(*cpn, 'whole_image', device='cpu')(images, BOXES)
    with pytest.raises(ValueError, match="no object detector has the name 'yolo'"):
        RMPEInferencer(*cpn, 'yolo', device='cpu')
    with pytest.raises(ValueError, match="score_mode must be .*got 'oks'"):
        RMPEInferencer(*cpn, device='cpu', score_mode='oks')
    with pytest.raises(ValueError, match='person_batch must be at least 1, got 0'):
        RMPEInferencer(*cpn, device='cpu', person_batch=0)
    with pytest.raises(FileNotFoundError, match="got 'coco'"):
        RMPEInferencer(*cpn, device='cpu', pose_nms='coco')
    with pytest.raises(ValueError, match="data_mode must be 'topdown'"):
        RMPEInferencer(*cpn, device='cpu', cfg_options=dict(data_mode='bottomup'))


def test_raises_on_a_backbone_of_a_missing_package(cpn):
    options = {'model.backbone.type': 'absent_package.VisionTransformer'}
    message = 'model.backbone.type absent_package.V.* needs the package absent_package'
    with pytest.raises(ImportError, match=message):
        RMPEInferencer(*cpn, device='cpu', cfg_options=options)
