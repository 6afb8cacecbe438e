# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.fitting.evaluation_split import EvaluationSplit
from rmpe_plugin.fitting.nms_methods import no_nms, parametric_nms
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.utils.configs import find_config
from tests.test_fitting.factories import metric_ap

MMPOSE_MPII = Config.fromfile(find_config('mmpose::_base_/datasets/mpii.py'))


def test_ap_equals_coco_metric(predicted_crowd):
    pred, ann, ap = predicted_crowd
    split = EvaluationSplit.from_files(pred, ann)
    people = no_nms(split)
    assert len(people) == split.num_predictions
    assert split.score(people) == pytest.approx(ap, abs=1e-9)
    assert split.score([]) == 0


def test_ap_without_areas_equals_crowdpose_metric(predicted_crowd, tmp_path):
    annotations = json.loads(predicted_crowd[1].read_text())
    for i, image in enumerate(annotations['images']):
        image['crowdIndex'] = i / len(annotations['images'])
    for person in annotations['annotations']:
        del person['area']
    ann = tmp_path / 'ann.json'
    ann.write_text(json.dumps(annotations))
    ap = metric_ap(
        ann,
        nms_mode='none',
        iou_type='keypoints_crowd',
        use_area=False,
        prefix='crowdpose',
    )
    split = EvaluationSplit.from_files(predicted_crowd[0], ann)
    assert split.score(no_nms(split)) == pytest.approx(ap, abs=1e-9)


@pytest.fixture(scope='module')
def mpii_crowd(tmp_path_factory):
    """Predictions, with duplicates, and annotations with MPII's keypoints."""
    folder = tmp_path_factory.mktemp('mpii')
    write_split(folder, 'val', 8, (320, 240), 'groups', seed=0, layout='mpii')
    ann = folder / 'annotations' / 'person_keypoints_val.json'
    rng = np.random.default_rng(0)
    predictions = []
    for person in json.loads(ann.read_text())['annotations']:
        for _ in range(rng.integers(1, 4)):
            keypoints = np.reshape(person['keypoints'], (16, 3)).astype(float)
            keypoints[:, :2] += rng.normal(0, 3, (16, 2))
            keypoints[:, 2] = rng.random(16)
            predictions.append(
                dict(
                    image_id=person['image_id'],
                    category_id=1,
                    bbox=person['bbox'],
                    keypoints=keypoints.ravel().tolist(),
                    score=float(rng.random()),
                )
            )
    pred = folder / 'pred.json'
    pred.write_text(json.dumps(predictions))
    return pred, ann, 'configs/_base_/datasets/mpii.py'


def test_map_equals_the_metric(mpii_crowd):
    pred, ann, metainfo = mpii_crowd
    split = EvaluationSplit.from_files(pred, ann, metainfo, 'mAP')
    metric = METRICS.build(dict(type='MultiPersonMAP', ann_file=str(ann)))
    meta = parse_pose_metainfo(dict(from_file=metainfo))
    metric.dataset_meta = meta
    for index, person in enumerate(json.loads(pred.read_text())):
        triples = np.reshape(person['keypoints'], (1, 16, 3))
        pose = dict(
            keypoints=triples[..., :2],
            keypoint_scores=triples[..., 2],
            bboxes=np.array([person['bbox']]),
        )
        gt = dict(bbox_scores=np.ones(1))
        sample = dict(id=index, img_id=person['image_id'], pred_instances=pose)
        metric.process([], [dict(sample, gt_instances=gt)])
    expected = metric.evaluate(size=split.num_predictions)['multi_person/mAP']
    assert split.score(no_nms(split)) == pytest.approx(expected / 100, abs=1e-9)
    one_each = {person['image_id']: person for person in no_nms(split)}
    assert split.score([*one_each.values()]) < split.score(no_nms(split))
    assert split.score([]) == 0


def test_order_of_keypoint_info_and_of_images_does_not_matter(mpii_crowd, tmp_path):
    pred, ann, metainfo = mpii_crowd
    info = dict(MMPOSE_MPII.dataset_info)
    info['keypoint_info'] = dict(reversed(info['keypoint_info'].items()))
    shuffled = tmp_path / 'metainfo.py'
    shuffled.write_text(f'dataset_info = {info!r}')
    content = json.loads(ann.read_text())
    content['images'].reverse()
    other_ann = tmp_path / 'ann.json'
    other_ann.write_text(json.dumps(content))
    split = EvaluationSplit.from_files(pred, ann, metainfo, 'mAP')
    other = EvaluationSplit.from_files(pred, other_ann, str(shuffled), 'mAP')
    # Equal scores, so that the order of the images decides.
    people = [
        dict(p, keypoints=[*np.reshape(p['keypoints'], (-1, 3)) * (1, 1, 0)])
        for p in no_nms(split)
    ]
    assert other.names == split.names
    for some in (people, no_nms(split)):
        assert other.score(some) == split.score(some)


def test_keypoints_are_those_of_the_categories(mpii_crowd):
    pred, ann, metainfo = mpii_crowd
    explicit = EvaluationSplit.from_files(pred, ann, metainfo)
    split = EvaluationSplit.from_files(pred, ann)
    assert split.names == explicit.names
    assert split.names[6] == 'pelvis'
    assert split.sigmas[6] == np.float32(0.067)


def test_pose_nms_raises_map(mpii_crowd):
    pred, ann, metainfo = mpii_crowd
    split = EvaluationSplit.from_files(pred, ann, metainfo, 'mAP')
    part, _ = split.divide(0.5, seed=0)
    assert part.metric == 'mAP'
    params = PoseNMSParams.preset('rmpe-mpii')
    assert part.score(parametric_nms(part, params)) > part.score(no_nms(part)) + 0.05


def test_errors_of_the_metric(predicted_crowd):
    pred, ann, _ = predicted_crowd
    with pytest.raises(ValueError, match="metric must be one of .*, got 'PCK'"):
        EvaluationSplit.from_files(pred, ann, metric='PCK')
    with pytest.raises(ValueError, match="must have 'torso'"):
        EvaluationSplit.from_files(pred, ann, metric='mAP', reference='torso')


def test_divided_splits_share_no_image(predicted_crowd):
    split = EvaluationSplit.from_files(*predicted_crowd[:2])

    def image_ids(part):
        return {image['id'] for image in part.annotations['images']}

    parts = split.divide(0.5, seed=0)
    ids = [image_ids(part) for part in parts]
    assert len(ids[0]) == len(ids[1]) == 6
    assert not ids[0] & ids[1]
    for part, own in zip(parts, ids, strict=True):
        assert {p['image_id'] for p in part.annotations['annotations']} <= own
        assert part.predictions.keys() <= own
        assert len(part.poses) == len(part.predictions)
    assert image_ids(split.divide(0.5, seed=0)[0]) == ids[0]
    assert image_ids(split.divide(0.5, seed=1)[0]) != ids[0]


def test_divides_annotations_without_num_keypoints(predicted_crowd, tmp_path):
    pred, ann, _ = predicted_crowd
    content = json.loads(ann.read_text())
    for person in content['annotations']:
        del person['num_keypoints']
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    parts = EvaluationSplit.from_files(pred, path).divide(0.5, seed=0)
    expected = EvaluationSplit.from_files(pred, ann).divide(0.5, seed=0)
    for part, other in zip(parts, expected, strict=True):
        assert part.score(no_nms(part)) == other.score(no_nms(other))


def test_raises_on_an_empty_split(predicted_crowd):
    split = EvaluationSplit.from_files(*predicted_crowd[:2])
    with pytest.raises(ValueError, match='both splits need labelled keypoints'):
        split.divide(0.01, seed=0)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda people: [], 'must be a list of COCO results and not empty'),
        (lambda people: dict(a=1), 'must be a list of COCO results'),
        (
            lambda people: [dict(people[0], image_id=99)],
            'of image 99, which is not among',
        ),
        (
            lambda people: [{k: v for k, v in people[0].items() if k != 'bbox'}],
            'result 0 has no bbox',
        ),
        (
            lambda people: [dict(people[0], keypoints=[0, 0, 1])],
            'has 3 keypoint numbers, .* 3 x 17',
        ),
    ],
)
def test_raises_on_malformed_predictions(predicted_crowd, tmp_path, change, message):
    pred, ann, _ = predicted_crowd
    path = tmp_path / 'malformed.json'
    path.write_text(json.dumps(change(json.loads(pred.read_text()))))
    with pytest.raises(ValueError, match=message):
        EvaluationSplit.from_files(path, ann)


def test_raises_without_a_positive_area(predicted_crowd, tmp_path):
    content = json.loads(predicted_crowd[1].read_text())
    content['annotations'][3]['area'] = 0
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'ann\.json: annotation 4 must have a pos'):
        EvaluationSplit.from_files(predicted_crowd[0], path)


@pytest.mark.parametrize('text', ['{"images": [', '[]', '{"images": []}'])
def test_raises_on_malformed_annotations(predicted_crowd, tmp_path, text):
    path = tmp_path / 'malformed.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'malformed\.json'):
        EvaluationSplit.from_files(predicted_crowd[0], path)
