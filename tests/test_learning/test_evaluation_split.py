# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rmpe_plugin.learning.evaluation_split import EvaluationSplit
from rmpe_plugin.learning.nms_methods import no_nms

from .factories import metric_ap


def test_ap_equals_coco_metric(predicted_crowd):
    pred, ann, ap = predicted_crowd
    split = EvaluationSplit.from_files(pred, ann)
    people = no_nms(split)
    assert len(people) == split.num_predictions
    assert split.average_precision(people) == pytest.approx(ap, abs=1e-9)
    assert split.average_precision([]) == 0


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
    assert split.average_precision(no_nms(split)) == pytest.approx(ap, abs=1e-9)


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


@pytest.mark.parametrize('text', ['{"images": [', '[]', '{"images": []}'])
def test_raises_on_malformed_annotations(predicted_crowd, tmp_path, text):
    path = tmp_path / 'malformed.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'malformed\.json'):
        EvaluationSplit.from_files(predicted_crowd[0], path)
