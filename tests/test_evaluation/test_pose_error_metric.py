# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from rmpe_plugin.diagnosis import DiagnosedPoses, Diagnosis, ap_gains
from tests.test_diagnosis.conftest import META, scene


def samples(predictions):
    """Outputs of a top-down model."""
    converted = []
    for i, record in enumerate(predictions):
        triples = np.reshape(record['keypoints'], (1, 5, 3))
        x, y, width, height = record['bbox']
        converted.append(
            dict(
                id=i,
                img_id=record['image_id'],
                pred_instances=dict(
                    keypoints=triples[..., :2],
                    keypoint_scores=triples[..., 2],
                    bboxes=np.array([[x, y, x + width, y + height]]),
                    bbox_scores=np.array([record['score'] / 0.8]),
                ),
                gt_instances=dict(
                    bbox_scales=np.array([[width, height]]),
                    bbox_scores=np.array([record['score'] / 0.8]),
                ),
            )
        )
    return converted


def build(path, **settings):
    metric = METRICS.build(
        dict(type='PoseErrorMetric', ann_file=str(path), nms_mode='none', **settings)
    )
    metric.dataset_meta = META
    return metric


def test_equals_the_diagnosis_and_logs_the_tables(tmp_path, monkeypatch):
    annotations, predictions = scene()
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(annotations))
    metric = build(path)
    logged = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', logged.append)
    metric.process([], samples(predictions))
    metrics = metric.evaluate(len(predictions))
    diagnosis = Diagnosis(DiagnosedPoses(annotations, predictions, META))
    ap, gains, _ = ap_gains(diagnosis)
    assert metrics['errors/AP'] == pytest.approx(ap, abs=1e-6)
    for name, gain in gains.items():
        actual = metrics[f'errors/gain_{name.replace(" ", "_")}']
        assert actual == pytest.approx(gain, abs=1e-6)
    assert any('kind of failure' in message for message in logged)


def test_stands_beside_the_coco_metric(tmp_path):
    annotations, predictions = scene()
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(annotations))
    settings = dict(ann_file=str(path), nms_mode='none')
    types = ('PoseNMSCocoMetric', 'PoseErrorMetric')
    evaluator = Evaluator([dict(type=kind, **settings) for kind in types])
    evaluator.dataset_meta = META
    evaluator.process(samples(predictions))
    metrics = evaluator.evaluate(len(predictions))
    assert metrics['coco/AP'] == metrics['errors/AP'] > 0


def test_raises_without_annotations():
    with pytest.raises(ValueError, match=r'evaluator\.ann_file is missing'):
        METRICS.build(dict(type='PoseErrorMetric'))
