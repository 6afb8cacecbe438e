# SPDX-License-Identifier: Apache-2.0
"""PoseNMSCocoMetric on predictions with three poses of each person."""

import json
import os

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.evaluation.metrics import PoseNMSCocoMetric
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms

PAPER = dict(preset='rmpe-paper')
COCO = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
CROWDPOSE = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/crowdpose.py'))


@pytest.fixture(scope='module')
def ann_file(synthetic):
    return synthetic / 'annotations' / 'person_keypoints_val.json'


def predictions(ann_file):
    """Outputs of a model that predicts each person three times, with growing errors."""
    rng = np.random.default_rng(0)
    outputs = []
    for person in json.loads(ann_file.read_text())['annotations']:
        pose = np.reshape(person['keypoints'], (1, -1, 3))
        box = bbox_xywh2xyxy(np.array([person['bbox']]))
        for error in (1.0, 2.0, 3.0):
            shift = rng.normal(0, error / 2, (1, pose.shape[1], 2))
            bbox_scores = np.array([rng.uniform(0.3, 0.9)])
            outputs.append(
                dict(
                    id=len(outputs),
                    img_id=person['image_id'],
                    category_id=1,
                    pred_instances=dict(
                        keypoints=pose[..., :2] + shift,
                        keypoint_scores=rng.uniform(0.1, 1, pose.shape[:2]),
                        bboxes=box + rng.normal(0, error, (1, 4)),
                        bbox_scores=bbox_scores,
                    ),
                    gt_instances=dict(
                        bbox_scores=bbox_scores, bbox_scales=box[:, 2:] - box[:, :2]
                    ),
                )
            )
    return outputs


def build(kind=PoseNMSCocoMetric, meta=COCO, **kwargs):
    metric = kind(**kwargs)
    metric.dataset_meta = dict(meta)
    return metric


def evaluate(metric, outputs):
    metric.process([], outputs)
    return metric.evaluate(len(outputs))


def written(prefix):
    return json.loads(prefix.with_name(f'{prefix.name}.keypoints.json').read_text())


@pytest.mark.parametrize('nms_mode', ['oks_nms', 'soft_oks_nms', 'none'])
@pytest.mark.parametrize(
    'score_mode', ['bbox', 'bbox_keypoint', 'bbox_rle', 'keypoint']
)
def test_equals_coco_metric_without_pose_nms(ann_file, tmp_path, nms_mode, score_mode):
    metrics = [
        evaluate(
            build(
                kind,
                ann_file=str(ann_file),
                nms_mode=nms_mode,
                score_mode=score_mode,
                outfile_prefix=str(tmp_path / kind.__name__),
            ),
            predictions(ann_file),
        )
        for kind in (CocoMetric, PoseNMSCocoMetric)
    ]
    assert metrics[0] == metrics[1]
    assert written(tmp_path / 'CocoMetric') == written(tmp_path / 'PoseNMSCocoMetric')


def test_score_offset_changes_the_scores_of_people_only(ann_file, tmp_path):
    outputs = predictions(ann_file)
    results = []
    for offset in (0.0, 0.5):
        prefix = tmp_path / str(offset)
        common = dict(ann_file=str(ann_file), outfile_prefix=str(prefix))
        evaluate(build(**common, pose_nms=PAPER, score_offset=offset), outputs)
        results.append(written(prefix))
    by_box = {tuple(o['pred_instances']['bboxes'][0, :2]): o for o in outputs}
    for plain, person in zip(*results, strict=True):
        assert plain['keypoints'] == person['keypoints']
        pose = by_box[tuple(person['bbox'][:2])]['pred_instances']
        expected = pose['bbox_scores'][0] * (pose['keypoint_scores'].mean() + 0.5)
        assert person['score'] == pytest.approx(expected)


@pytest.mark.parametrize('score_mode', ['bbox', 'bbox_rle', 'keypoint'])
def test_score_offset_changes_no_other_score_mode(ann_file, score_mode):
    common = dict(ann_file=str(ann_file), score_mode=score_mode, nms_mode='none')
    outputs = predictions(ann_file)
    plain, shifted = (
        evaluate(build(**common, score_offset=offset), outputs) for offset in (0.0, 0.5)
    )
    assert plain == shifted


def test_ap_is_that_of_scores_with_the_offset(ann_file):
    """As tf-cpn and pytorch-cpn, whose scores are heatmap values / 255 + 0.5."""
    common = dict(ann_file=str(ann_file), nms_mode='none')
    outputs = predictions(ann_file)
    ap = evaluate(build(**common, score_offset=0.5), outputs)
    assert ap != evaluate(build(**common), outputs)
    for output in outputs:
        output['pred_instances']['keypoint_scores'] += 0.5
    assert ap == evaluate(build(CocoMetric, **common), outputs)


@pytest.mark.parametrize(
    'score_mode', ['bbox', 'bbox_keypoint', 'bbox_rle', 'keypoint']
)
@pytest.mark.parametrize('preset', ['rmpe-paper', 'rmpe-mpii', 'alphapose-coco'])
def test_writes_kept_poses(ann_file, tmp_path, preset, score_mode):
    common = dict(ann_file=str(ann_file), score_mode=score_mode)
    outputs = predictions(ann_file)
    before = evaluate(
        build(**common, nms_mode='none', outfile_prefix=str(tmp_path / 'all')), outputs
    )
    after = evaluate(
        build(
            **common,
            pose_nms=dict(preset=preset),
            outfile_prefix=str(tmp_path / 'kept'),
        ),
        outputs,
    )
    assert after['coco/AP'] > before['coco/AP']

    all_poses, kept = written(tmp_path / 'all'), written(tmp_path / 'kept')
    assert len(kept) < len(all_poses)
    for image in {person['image_id'] for person in all_poses}:
        persons = [p for p in all_poses if p['image_id'] == image]
        poses = np.array([np.reshape(p['keypoints'], (-1, 3)) for p in persons])
        result = parametric_pose_nms(
            poses[..., :2],
            poses[..., 2],
            bbox_xywh2xyxy(np.array([p['bbox'] for p in persons])),
            PoseNMSParams.preset(preset),
            np.array([p['score'] for p in persons]),
        )
        kept_persons = [p for p in kept if p['image_id'] == image]
        assert [p['score'] for p in kept_persons] == [
            persons[i]['score'] for i in result.keep
        ]
        assert [p['bbox'] for p in kept_persons] == [
            persons[i]['bbox'] for i in result.keep
        ]
        merged = np.dstack((result.keypoints, result.keypoint_scores))
        np.testing.assert_allclose(
            [np.reshape(p['keypoints'], (-1, 3)) for p in kept_persons], merged
        )


def test_pose_nms_from_preset_parameters_or_file(ann_file, tmp_path):
    PoseNMSParams.preset('rmpe-paper').to_json(tmp_path / 'learned.json')
    metrics = []
    for pose_nms in (
        PAPER,
        dict(sigma1=0.01, sigma2=2.08, lambda_=2.08, eta=22.48),
        str(tmp_path / 'learned.json'),
    ):
        config = dict(
            type='PoseNMSCocoMetric', ann_file=str(ann_file), pose_nms=pose_nms
        )
        metrics.append(
            evaluate(build(METRICS.build, cfg=config), predictions(ann_file))
        )
    assert metrics[0] == metrics[1] == metrics[2]


def test_format_only(ann_file, tmp_path):
    prefix = tmp_path / 'results'
    metric = build(
        ann_file=str(ann_file),
        pose_nms=PAPER,
        format_only=True,
        outfile_prefix=str(prefix),
    )
    assert evaluate(metric, predictions(ann_file)) == {}
    assert 0 < len(written(prefix)) < len(predictions(ann_file))


@pytest.mark.parametrize('pose_nms', [None, PAPER])
def test_converts_keypoints_before_pose_nms(ann_file, tmp_path, pose_nms):
    converter = dict(
        type='KeypointConverter', num_keypoints=13, mapping=[(i, i) for i in range(13)]
    )
    common = dict(
        ann_file=str(ann_file),
        pred_converter=converter,
        gt_converter=converter,
        nms_mode='none',
        outfile_prefix=str(tmp_path / 'results'),
    )
    metrics = evaluate(build(pose_nms=pose_nms, **common), predictions(ann_file))
    assert {len(p['keypoints']) for p in written(tmp_path / 'results')} == {13 * 3}
    plain = evaluate(build(CocoMetric, **common), predictions(ann_file))
    if pose_nms is None:
        assert metrics == plain
    else:
        assert metrics['coco/AP'] > plain['coco/AP']


@pytest.mark.parametrize('pose_nms', [None, PAPER])
def test_crowdpose(ann_file, tmp_path, pose_nms):
    annotations = json.loads(ann_file.read_text())
    annotations['categories'][0]['keypoints'] = CROWDPOSE['keypoint_id2name']
    for i, image in enumerate(annotations['images']):
        image['crowdIndex'] = i / len(annotations['images'])
    for person in annotations['annotations']:
        person['keypoints'] = person['keypoints'][: 14 * 3]
        person['num_keypoints'] = int(np.count_nonzero(person['keypoints'][2::3]))
        del person['area']
    path = tmp_path / 'crowdpose.json'
    path.write_text(json.dumps(annotations))
    common = dict(
        ann_file=str(path),
        use_area=False,
        iou_type='keypoints_crowd',
        prefix='crowdpose',
        nms_mode='none',
    )
    metrics = evaluate(
        build(meta=CROWDPOSE, pose_nms=pose_nms, **common), predictions(path)
    )
    plain = evaluate(build(CocoMetric, CROWDPOSE, **common), predictions(path))
    assert 'crowdpose/AP(H)' in metrics
    if pose_nms is None:
        assert metrics == plain
    else:
        assert metrics['crowdpose/AP'] > plain['crowdpose/AP']


def worker(rank, port, ann_file, outputs, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    dist.init_process_group('gloo', rank=rank, world_size=2)
    metric = build(ann_file=str(ann_file), pose_nms=PAPER)
    metric.process([], outputs[rank::2])
    metrics = metric.evaluate(len(outputs))
    (folder / f'{rank}.json').write_text(json.dumps(metrics))
    dist.destroy_process_group()


def test_two_processes_equal_one(ann_file, tmp_path):
    outputs = predictions(ann_file)
    port = 20000 + os.getpid() % 20000
    mp.spawn(worker, args=(port, ann_file, outputs, tmp_path), nprocs=2)
    expected = evaluate(build(ann_file=str(ann_file), pose_nms=PAPER), outputs)
    for rank in (0, 1):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected


def test_ap_is_zero_if_no_pose_is_kept(ann_file):
    strict = dict(PAPER, min_area=1e9)
    metric = build(ann_file=str(ann_file), pose_nms=strict)
    assert evaluate(metric, predictions(ann_file))['coco/AP'] <= 0


def test_raises_on_invalid_config(ann_file):
    with pytest.raises(ValueError, match="nms_mode must be 'none'.*got 'oks_nms'"):
        PoseNMSCocoMetric(ann_file=str(ann_file), pose_nms=PAPER, nms_mode='oks_nms')
    with pytest.raises(ValueError, match='pose_nms needs sigma1'):
        PoseNMSCocoMetric(ann_file=str(ann_file), pose_nms={})
    with pytest.raises(FileNotFoundError, match=r"got 'no\.json', which is not a file"):
        PoseNMSCocoMetric(ann_file=str(ann_file), pose_nms='no.json')


def test_raises_on_predictions_without_boxes(ann_file):
    outputs = predictions(ann_file)[:1]
    del outputs[0]['pred_instances']['bboxes']
    metric = build(ann_file=str(ann_file), pose_nms=PAPER)
    with pytest.raises(ValueError, match='the predictions have no bboxes'):
        metric.process([], outputs)
