# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.ops import multi_person_ap

MPII = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/mpii.py'))
EVALUATED = [k for k in range(16) if k not in (6, 7)]


def annotation(rng, index, image):
    keypoints = rng.uniform(50, 250, (16, 2)) + rng.normal(0, 20, 2)
    corner, size = keypoints.min(axis=0), np.ptp(keypoints, axis=0)
    visibility = rng.integers(0, 3, 16)
    visibility[0] = 2
    return dict(
        id=index,
        image_id=image,
        category_id=1,
        bbox=[*corner, *size],
        keypoints=np.column_stack((keypoints, visibility)).ravel().tolist(),
        head_box=[10.0, 10.0, 30.0, 40.0],  # 0.6 times the diagonal is 30
        head_size=60.0,
        area=float(size.prod()),
        iscrowd=0,
        num_keypoints=int((visibility > 0).sum()),
    )


@pytest.fixture
def annotations():
    rng = np.random.default_rng(0)
    return [annotation(rng, index, image=1 + index // 3) for index in range(12)]


@pytest.fixture
def ann_file(annotations, tmp_path):
    path = tmp_path / 'annotations.json'
    images = [
        dict(id=i, file_name=f'{i}.jpg', width=400, height=400) for i in range(1, 6)
    ]
    categories = [dict(id=1, name='person')]
    content = dict(images=images, annotations=annotations, categories=categories)
    path.write_text(json.dumps(content))
    return path


def predictions(annotations, copies=1):
    """Outputs of a model: each person but those of the last image, with duplicates."""
    rng = np.random.default_rng(1)
    outputs = []
    for person in annotations[:9]:
        pose = np.reshape(person['keypoints'], (1, 16, 3))[..., :2]
        box = bbox_xywh2xyxy(np.array([person['bbox']]))
        for _ in range(copies):
            outputs.append(
                dict(
                    id=len(outputs),
                    img_id=person['image_id'],
                    pred_instances=dict(
                        keypoints=pose + rng.normal(0, 8, pose.shape),
                        keypoint_scores=rng.random((1, 16)),
                        bboxes=box,
                    ),
                    gt_instances=dict(bbox_scores=rng.random(1)),
                )
            )
    return outputs


def build(ann_file, **settings):
    metric = METRICS.build(
        dict(type='MultiPersonMAP', ann_file=str(ann_file), **settings)
    )
    metric.dataset_meta = MPII
    return metric


def evaluate(metric, outputs):
    metric.process([], outputs)
    return metric.evaluate(size=len(outputs))


def test_equals_the_operator(annotations, ann_file):
    outputs = predictions(annotations)
    # The sampler of several processes repeats a person.
    metrics = evaluate(build(ann_file), [*outputs, outputs[0]])
    groups = []
    for image in range(1, 5):
        people = [a for a in annotations if a['image_id'] == image]
        poses = [o['pred_instances'] for o in outputs if o['img_id'] == image]
        triples = np.reshape([p['keypoints'] for p in people], (-1, 16, 3))
        gt = np.where(triples[..., 2:] > 0, triples[..., :2], np.nan)
        keypoints = np.reshape([p['keypoints'] for p in poses], (-1, 16, 2))
        scores = np.reshape([p['keypoint_scores'] for p in poses], (-1, 16))
        groups.append(
            (
                gt[:, EVALUATED],
                np.full(len(people), 30.0),
                keypoints[:, EVALUATED],
                scores[:, EVALUATED],
            )
        )
    expected = multi_person_ap(*zip(*groups, strict=True))
    assert metrics['multi_person/mAP'] == pytest.approx(expected.mean())
    for k, value in zip(EVALUATED, expected, strict=True):
        name = MPII['keypoint_id2name'][k]
        assert metrics[f'multi_person/{name}'] == pytest.approx(value)
    assert len(metrics) == 15
    assert 20 < metrics['multi_person/mAP'] < 80


def test_joints_are_named_by_id_not_by_their_order_in_the_description(
    annotations, ann_file
):
    outputs = predictions(annotations)
    expected = evaluate(build(ann_file), outputs)
    metric = build(ann_file)
    names = dict(reversed(MPII['keypoint_id2name'].items()))
    metric.dataset_meta = dict(MPII, keypoint_id2name=names)
    assert evaluate(metric, outputs) == expected


def test_duplicates_cost_and_pose_nms_removes_them(annotations, ann_file):
    single = evaluate(build(ann_file), predictions(annotations))
    outputs = predictions(annotations, copies=3)
    before = evaluate(build(ann_file), outputs)
    after = evaluate(build(ann_file, pose_nms='rmpe-mpii'), outputs)
    assert before['multi_person/mAP'] < single['multi_person/mAP'] - 10
    assert after['multi_person/mAP'] > before['multi_person/mAP'] + 10


def test_settings(annotations, ann_file):
    outputs = predictions(annotations)
    metrics = evaluate(build(ann_file, joints=['head_top', 'left_knee']), outputs)
    assert set(metrics) == {
        'multi_person/head_top', 'multi_person/left_knee', 'multi_person/mAP'
    }  # fmt: skip
    strict = evaluate(build(ann_file, threshold=0.01), outputs)
    assert strict['multi_person/mAP'] < 5
    with pytest.raises(ValueError, match='evaluator.joints must be among .*got nose'):
        evaluate(build(ann_file, joints=['nose']), outputs)
    with pytest.raises(ValueError, match="annotation 0 must have 'torso', .*got None"):
        evaluate(build(ann_file, reference='torso'), outputs)
    # A longer reference accepts larger errors.
    by_length = evaluate(build(ann_file, reference='head_size'), outputs)
    by_box = evaluate(build(ann_file), outputs)
    assert by_length['multi_person/mAP'] > by_box['multi_person/mAP'] + 10


def test_no_predictions(annotations, ann_file):
    metric = build(ann_file)
    assert metric.compute_metrics([])['mAP'] == 0


def grouped(annotations):
    """Annotations of two groups per image and of a person in none."""
    for index, person in enumerate(annotations):
        centre = np.reshape(person['keypoints'], (16, 3))[6:8, :2].mean(axis=0)
        group = (0, 1, -1)[index % 3]
        person |= dict(group=group, position=centre.tolist(), scale=0.5)
    return annotations


def test_groups_of_mpii(annotations, tmp_path):
    path = tmp_path / 'groups.json'
    images = [dict(id=i, file_name='x', width=400, height=400) for i in range(1, 6)]
    content = dict(images=images, categories=[dict(id=1, name='person')])
    path.write_text(json.dumps(dict(content, annotations=grouped(annotations))))
    metric = build(path, groups='mpii')
    samples = predictions(annotations, copies=2)
    metric.process([], samples)
    by_joint = metric.evaluate(size=len(samples))

    gt, lengths, keypoints, scores = [], [], [], []
    for person in annotations:
        if person['group'] < 0:
            continue
        triples = np.reshape(person['keypoints'], (16, 3))
        gt.append(np.where(triples[:, 2:] > 0, triples[:, :2], np.nan)[None])
        lengths.append(np.array([30.0]))
        poses = [
            (
                sample['pred_instances']['keypoints'][0],
                sample['pred_instances']['keypoint_scores'][0],
            )
            for sample in samples
            if sample['img_id'] == person['image_id']
        ]
        inside = [
            (pose, score)
            for pose, score in poses
            if np.abs(pose[6:8].mean(axis=0) - person['position']).max() <= 25
        ]
        keypoints.append(np.array([p for p, _ in inside]).reshape(-1, 16, 2))
        scores.append(np.array([s for _, s in inside]).reshape(-1, 16))
    expected = multi_person_ap(gt, lengths, keypoints, scores)[EVALUATED]
    assert by_joint['multi_person/mAP'] == pytest.approx(np.nanmean(expected))
    assert sum(map(len, keypoints)) < len(samples)


def test_errors_of_groups(ann_file, annotations):
    with pytest.raises(ValueError, match="evaluator.groups must be one of .*'kit'"):
        build(ann_file, groups='kit')
    metric = build(ann_file, groups='mpii')
    metric.process([], predictions(annotations))
    with pytest.raises(ValueError, match='annotation 0 has no group, position, scale'):
        metric.evaluate(size=9)


def test_error_without_groups(annotations, tmp_path):
    path = tmp_path / 'groups.json'
    people = [dict(a, group=-1, position=[1, 1], scale=1.0) for a in annotations]
    images = [dict(id=i, file_name='x', width=400, height=400) for i in range(1, 6)]
    content = dict(images=images, categories=[dict(id=1, name='person')])
    path.write_text(json.dumps(dict(content, annotations=people)))
    metric = build(path, groups='mpii')
    metric.process([], predictions(annotations))
    with pytest.raises(ValueError, match="no groups, which evaluator.groups='mpii'"):
        metric.evaluate(size=9)
    metric = build(path, groups='mpii', joints=['neck'])
    metric.dataset_meta = dict(keypoint_id2name={0: 'neck'})
    metric.process([], predictions(annotations))
    with pytest.raises(ValueError, match='needs the joints pelvis, thorax'):
        metric.evaluate(size=9)
