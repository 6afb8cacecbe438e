# SPDX-License-Identifier: Apache-2.0
"""Records, and predictions with duplicates, for tests of the fitting package."""

import json

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.evaluation.metrics import PoseNMSCocoMetric

COCO = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))


def write_detections(root, number):
    """Files of annotations and simulated detections of a number of images."""
    write_split(root, 'train', number, (320, 240), 'crowd', seed=0)
    names = ('person_keypoints_train.json', 'person_detections_train.json')
    return tuple(root / 'annotations' / name for name in names)


def person(image=1, box=(10, 10, 20, 40), labelled=17, **more):
    """Annotation of a person, the first keypoints labelled."""
    keypoints = [[15.0, 20.0 + i, 2 if i < labelled else 0] for i in range(17)]
    return dict(
        id=1, image_id=image, category_id=1, bbox=list(box), iscrowd=0,
        num_keypoints=labelled, keypoints=np.ravel(keypoints).tolist(), **more,
    )  # fmt: skip


def detection(image=1, box=(10, 10, 20, 40), score=0.9, category=1):
    """Detection of a person."""
    return dict(image_id=image, bbox=list(box), score=score, category_id=category)


def model_outputs(ann):
    """Outputs of a model that predicts each person three times, with growing errors."""
    rng = np.random.default_rng(0)
    outputs = []
    for record in json.loads(ann.read_text())['annotations']:
        pose = np.reshape(record['keypoints'], (1, -1, 3))
        box = bbox_xywh2xyxy(np.array([record['bbox']]))
        for error in (1.0, 2.0, 3.0):
            scores = np.array([rng.uniform(0.3, 0.9)])
            predicted = dict(
                keypoints=pose[..., :2] + rng.normal(0, error / 2, pose[..., :2].shape),
                keypoint_scores=rng.uniform(0.1, 1, pose.shape[:2]),
                bboxes=box + rng.normal(0, error, (1, 4)),
                bbox_scores=scores,
            )
            annotated = dict(bbox_scores=scores, bbox_scales=box[:, 2:] - box[:, :2])
            outputs.append(
                dict(
                    id=len(outputs),
                    img_id=record['image_id'],
                    category_id=1,
                    pred_instances=predicted,
                    gt_instances=annotated,
                )
            )
    return outputs


def metric_ap(ann, **kwargs):
    """AP that PoseNMSCocoMetric computes of :func:`model_outputs`."""
    metric = PoseNMSCocoMetric(ann_file=str(ann), **kwargs)
    metric.dataset_meta = dict(COCO)
    outputs = model_outputs(ann)
    metric.process([], outputs)
    (ap,) = (v for k, v in metric.evaluate(len(outputs)).items() if k.endswith('/AP'))
    return ap


def write_predictions(ann, prefix):
    """Write :func:`model_outputs` without NMS in COCO's format; path and AP."""
    ap = metric_ap(ann, nms_mode='none', outfile_prefix=str(prefix))
    return prefix.with_name(f'{prefix.name}.keypoints.json'), ap
