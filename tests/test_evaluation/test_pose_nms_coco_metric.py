# SPDX-License-Identifier: Apache-2.0
"""PoseNMSCocoMetric on predictions with three poses of each person."""

import json
import os

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.logging import MessageHub
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


@pytest.mark.slow
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


# --- annotations that cannot be evaluated ---------------------------------------------


def change_people(ann_file, path, changes=None, remove=(), **dataset):
    """Write the annotations with other entries of each person."""
    content = json.loads(ann_file.read_text()) | dataset
    for person in content['annotations']:
        person.update(changes or {})
        for key in remove:
            del person[key]
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (dict(changes=dict(area=0)), 'annotation 1 must have a positive area for OKS'),
        (dict(changes=dict(area=-1)), 'area must be a finite number of at least 0'),
        (dict(changes=dict(area=None)), 'area must be a finite number of at least 0'),
        (dict(remove=['area']), 'annotation 1 has no area; evaluator.use_area=False'),
        (dict(remove=['keypoints']), 'has no keypoints'),
        (dict(remove=['bbox']), 'has no bbox'),
        (dict(categories=[]), 'has no categories'),
        (dict(categories=[dict(id=2, name='person')]), r'not among .* \[2\]'),
    ],
)
def test_raises_before_the_training(ann_file, tmp_path, edit, message):
    path = change_people(ann_file, tmp_path / 'ann.json', **edit)
    with pytest.raises(ValueError, match=rf'ann\.json.*{message}'):
        build(ann_file=str(path))
    # MMPose tells a metric without ``ann_file`` the annotations of the data set.
    hub = MessageHub.get_current_instance()
    hub.update_info_dict({'broken_ann_file': str(path)})
    with pytest.raises(ValueError, match=rf'ann\.json.*{message}'):
        build(meta=dict(COCO, dataset_name='broken'))
    # Only the evaluation needs them.
    prefix = str(tmp_path / 'results')
    build(ann_file=str(path), format_only=True, outfile_prefix=prefix)


@pytest.mark.parametrize(
    'edit', [dict(remove=['area']), dict(changes=dict(area=0)), dict(changes={})]
)
def test_use_area_takes_the_share_of_the_box(ann_file, tmp_path, edit):
    outputs = predictions(ann_file)
    rng = np.random.default_rng(0)
    for output in outputs:
        output['pred_instances']['keypoints'] += rng.normal(0, 4, (1, 17, 2))
    expected = evaluate(
        build(CocoMetric, ann_file=str(ann_file), use_area=False), outputs
    )
    assert 0.1 < expected['coco/AP'] < 1
    path = change_people(ann_file, tmp_path / 'ann.json', **edit)
    assert evaluate(build(ann_file=str(path), use_area=False), outputs) == expected
    # The types of errors are those of this AP.
    kind = METRICS.get('PoseErrorMetric')
    found = evaluate(build(kind, ann_file=str(path), use_area=False), outputs)
    other = change_people(ann_file, tmp_path / 'other.json', remove=['area'])
    same = evaluate(build(kind, ann_file=str(other), use_area=False), outputs)
    assert found == same
    expected = {key.replace('coco/', 'errors/'): ap for key, ap in expected.items()}
    assert found.items() >= expected.items()


def test_annotations_without_iscrowd_are_people(ann_file, tmp_path):
    outputs = predictions(ann_file)
    expected = evaluate(build(ann_file=str(ann_file)), outputs)
    path = change_people(ann_file, tmp_path / 'ann.json', remove=['iscrowd'])
    assert evaluate(build(ann_file=str(path)), outputs) == expected


def test_crowds_and_people_without_labels_need_no_positive_area(ann_file, tmp_path):
    content = json.loads(ann_file.read_text())
    first, second = content['annotations'][:2]
    first.update(iscrowd=1, area=0)
    second.update(keypoints=[], num_keypoints=0, area=0)
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    ap = evaluate(build(ann_file=str(path)), predictions(ann_file))['coco/AP']
    assert ap > 0.1


def test_crowdpose_needs_its_keys(ann_file, tmp_path):
    settings = dict(iou_type='keypoints_crowd', use_area=False)
    with pytest.raises(ValueError, match=r'image 0 \(id \d+\) has no crowdIndex'):
        build(ann_file=str(ann_file), **settings)
    path = change_people(ann_file, tmp_path / 'ann.json', remove=['num_keypoints'])
    with pytest.raises(ValueError, match=r'annotation 0 \(id 1\) has no num_keypoints'):
        build(ann_file=str(path), **settings)


@pytest.mark.parametrize(
    'dataset', [dict(categories=None), dict(annotations=None), dict(images=[{}])]
)
def test_errors_of_malformed_files_name_the_file(ann_file, tmp_path, dataset):
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(json.loads(ann_file.read_text()) | dataset))
    with pytest.raises(ValueError, match=r'ann\.json: '):
        build(ann_file=str(path))


@pytest.mark.parametrize('number', [0, 16])
def test_raises_on_another_number_of_sigmas(ann_file, number):
    meta = dict(COCO, sigmas=COCO['sigmas'][:number])
    with pytest.raises(ValueError, match=f'needs 17 sigmas, .* got {number}'):
        build(ann_file=str(ann_file), meta=meta)
