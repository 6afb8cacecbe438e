# SPDX-License-Identifier: Apache-2.0
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rmpe_plugin.fitting.matching import (
    MatchedPeople,
    match_detections,
    pair_by_iou,
    read_matching_inputs,
)
from tests.test_fitting.factories import detection, person


def test_pairs_the_highest_iou_first():
    overlaps = np.array([[0.9, 0.6, 0.0], [0.8, 0.7, 0.0], [0.0, 0.0, 0.4]])
    assert pair_by_iou(overlaps, 0.5) == [(0, 0), (1, 1)]
    # A row whose best column is taken does not get the column of another row.
    overlaps = np.array([[0.9, 0.6], [0.55, 0.0]])
    assert pair_by_iou(overlaps, 0.5) == [(0, 0)]


@given(
    arrays(
        float,
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        elements=st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.7, 1.0]),
    )
)
def test_pairs_are_one_to_one_and_maximal(overlaps):
    pairs = pair_by_iou(overlaps, 0.5)
    rows, columns = {r for r, _ in pairs}, {c for _, c in pairs}
    assert len(rows) == len(columns) == len(pairs)
    values = [overlaps[pair] for pair in pairs]
    assert values == sorted(values, reverse=True)
    for (r, c), value in np.ndenumerate(overlaps):
        if value >= 0.5:
            assert r in rows or c in columns


def test_counts_every_outcome():
    annotations = dict(
        images=[dict(id=i, width=100, height=100, file_name='') for i in (1, 2, 3)],
        annotations=[
            person(),
            # Keeps its detection from being matched to another person.
            person(box=(60, 10, 20, 40), labelled=0),
            person(image=2, box=(0, 0, 50, 50)),
            person(image=3, box=(0, 0, 0, 50)),
            dict(person(image=3), iscrowd=1),
            person(image=4),
        ],
    )
    detections = [
        detection(),
        detection(box=(11, 10, 20, 40)),
        detection(box=(60, 10, 20, 40)),
        detection(image=2, box=(40, 40, 50, 50)),
        detection(score=0.01),
        detection(category=2),
        detection(image=9),
        detection(box=(10, 10, -5, 40)),
        detection(box=(10, 10, float('nan'), 40)),
    ]
    pairs, counts = match_detections(annotations, detections, 0.5, 0.05)
    people = MatchedPeople.from_pairs(pairs, annotations['images'])
    assert len(people) == 1
    np.testing.assert_array_equal(people.image_sizes, [[100, 100]])
    np.testing.assert_array_equal(people.gt_bboxes, [[10, 10, 30, 50]])
    np.testing.assert_array_equal(people.detections, people.gt_bboxes)
    np.testing.assert_array_equal(people.offsets, np.zeros((1, 4)))
    # Comparing counters ignores outcomes that did not occur.
    assert counts['people'] == Counter({
        'matched': 1,
        'no labelled keypoints': 1,
        'no detection with IoU >= 0.5': 1,
        'invalid box': 1,
        'crowd': 1,
        'image not listed': 1,
    })  # fmt: skip
    assert counts['detections'] == Counter({
        'matched': 1,
        'person without labelled keypoints': 1,
        'no person with IoU >= 0.5': 2,
        'score below 0.05': 1,
        'category other than 1 (person)': 1,
        'image not annotated': 1,
        'invalid box': 2,
    })  # fmt: skip


def test_raises_without_matches(detected_crowd):
    annotations, detections = read_matching_inputs(*detected_crowd, 17)
    far = [dict(box, bbox=[0, 0, 1, 1]) for box in detections]
    pairs, counts = match_detections(annotations, far)
    assert counts['people']['matched'] == 0
    with pytest.raises(ValueError, match='no detection was matched to a person'):
        MatchedPeople.from_pairs(pairs, annotations['images'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda ann, det: (ann, []), 'list of COCO results and not empty'),
        (lambda ann, det: (ann, dict(a=1)), 'list of COCO results'),
        (lambda ann, det: ([], det), 'must hold COCO annotations'),
        (lambda ann, det: (ann, [dict(image_id=1)]), 'result 0 has no bbox'),
        (
            lambda ann, det: (dict(ann, annotations=[dict(id=1)]), det),
            r'annotation 0 \(id 1\) has no image_id',
        ),
        (
            lambda ann, det: (dict(ann, images=[dict(id=1)]), det),
            r'image 0 \(id 1\) has no file_name, height, width',
        ),
        (
            lambda ann, det: (ann, [dict(d, image_id='a') for d in det]),
            r"no image of .* is in .*: .* for example \['a'\] and \[1, 2, 3\]",
        ),
        (
            lambda ann, det: (dict(ann, annotations=[person(labelled=0)]), det),
            'has no labelled keypoints',
        ),
        (
            lambda ann, det: (
                dict(ann, annotations=[dict(person(), keypoints=[1, 2, 2])]),
                det,
            ),
            'has 3 keypoint numbers, .* 3 x 17',
        ),
    ],
)
def test_raises_on_malformed_files(detected_crowd, tmp_path, change, message):
    contents = change(*(json.loads(path.read_text()) for path in detected_crowd))
    paths = tmp_path / 'ann.json', tmp_path / 'det.json'
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_matching_inputs(*paths, 17)


def test_raises_on_a_file_that_is_not_json(detected_crowd, tmp_path):
    (tmp_path / 'empty.json').touch()
    with pytest.raises(ValueError, match=r'empty\.json is not JSON'):
        read_matching_inputs(detected_crowd[0], tmp_path / 'empty.json', 17)
