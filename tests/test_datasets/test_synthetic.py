# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from xtcocotools.coco import COCO

from rmpe_plugin.datasets.synthetic import (
    DIFFICULTIES,
    KEYPOINTS,
    Person,
    render_split,
    write_split,
)
from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.datasets.synthetic.detector import _iou, _propose


@pytest.fixture(scope='module')
def crowd():
    return list(render_split('train', 60, (320, 240), 'crowd', seed=3))


def test_same_seed_same_bytes(tmp_path):
    for name in ('a', 'b'):
        write_split(tmp_path / name, 'val', 3, (320, 240), 'crowd', seed=5)
    write_split(tmp_path / 'c', 'val', 3, (320, 240), 'crowd', seed=6)
    files = [p.relative_to(tmp_path / 'a') for p in (tmp_path / 'a').rglob('*.j*')]
    assert len(files) == 5
    for file in files:
        original = (tmp_path / 'a' / file).read_bytes()
        assert original == (tmp_path / 'b' / file).read_bytes()
        assert original != (tmp_path / 'c' / file).read_bytes()


def test_an_image_does_not_depend_on_how_many_there_are():
    short = list(render_split('val', 2, (160, 120), 'easy', seed=1))
    long = list(render_split('val', 4, (160, 120), 'easy', seed=1))
    for (a, *_), (b, *_) in zip(short, long, strict=False):
        np.testing.assert_array_equal(a, b)


def test_splits_differ():
    (train, *_), (val, *_) = (
        next(render_split(split, 1, (160, 120), 'easy', seed=1))
        for split in ('train', 'val')
    )
    assert (train != val).any()


def test_annotations_are_coco(synthetic):
    path = synthetic / 'annotations' / 'person_keypoints_train.json'
    coco = COCO(str(path))
    assert coco.loadCats(1)[0]['keypoints'] == list(KEYPOINTS)
    for ann in coco.anns.values():
        image = coco.imgs[ann['image_id']]
        x, y, w, h = ann['bbox']
        assert w > 0 and h > 0 and x >= 0 and y >= 0
        assert x + w <= image['width'] and y + h <= image['height']
        assert 0 < ann['area'] <= w * h
        keypoints = np.reshape(ann['keypoints'], (17, 3))
        assert ann['num_keypoints'] == (keypoints[:, 2] > 0).sum()
        assert set(keypoints[:, 2]) <= {0, 1, 2}
        assert (keypoints[keypoints[:, 2] == 0] == 0).all()
        inside = keypoints[keypoints[:, 2] > 0, :2]
        assert (inside >= 0).all() and (
            inside <= (image['width'], image['height'])
        ).all()
        picture = cv2.imread(str(synthetic / 'train' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3)


def test_loads_with_truths_and_with_detections(synthetic):
    settings = dict(
        ann_file='annotations/person_keypoints_val.json',
        data_root=str(synthetic),
        data_prefix=dict(img='val/'),
        test_mode=True,
    )
    truths = CocoDataset(**settings)
    boxes = synthetic / 'annotations' / 'person_detections_val.json'
    found = CocoDataset(**settings, bbox_file=str(boxes))
    assert len(truths) > 0
    assert len(found) == len(json.loads(boxes.read_text()))
    assert (
        'simulated'
        in json.loads(
            (synthetic / 'annotations' / 'person_keypoints_val.json').read_text()
        )['info']['description']
    )


def test_crowds_hide_people_from_one_another(crowd):
    visibility = np.concatenate(
        [p.keypoints[:, 2] for _, people, _ in crowd for p in people]
    )
    for v in (0, 1, 2):
        assert (visibility == v).mean() > 0.03
    share = [p.visible for _, people, _ in crowd for p in people]
    assert np.mean(np.array(share) < 0.8) > 0.2
    easy = list(render_split('train', 60, (320, 240), 'easy', seed=3))
    easy_share = [p.visible for _, people, _ in easy for p in people]
    assert np.mean(easy_share) > np.mean(share) + 0.05


def test_hidden_joints_are_those_something_is_drawn_over():
    # Alone, without clutter, in a large picture: only one's own body can hide a joint,
    # and wrists stretched out sideways are never behind it.
    seen = []
    for _, people, _ in render_split('train', 80, (320, 240), 'easy', seed=9):
        for person in people if len(people) == 1 else []:
            box, keypoints = person.bbox, person.keypoints
            reach = (keypoints[[9, 10], 0] < box[0] + 8) | (
                keypoints[[9, 10], 0] > box[2] - 8
            )
            inside = keypoints[[9, 10], 2] > 0
            seen += (keypoints[[9, 10], 2][reach & inside] == 2).tolist()
    assert len(seen) > 15
    assert np.mean(seen) > 0.95


def test_front_and_back_views():
    bodies = [sample_body(np.random.default_rng(i), 1.0) for i in range(300)]
    towards = np.array([b.facing[2] > 0 for b in bodies])
    assert 0.15 < 1 - towards.mean() < 0.5
    # Seen from the front the person's left is on the right of the picture.
    left_is_right = np.array([b.joints[5, 0] > b.joints[6, 0] for b in bodies])
    assert (left_is_right == towards).mean() > 0.8


def test_bones_keep_their_lengths():
    for i in range(50):
        joints = sample_body(np.random.default_rng(i), 1.0).joints
        for start, end, length in ((5, 7, 0.17), (7, 9, 0.15), (12, 14, 0.24)):
            assert np.linalg.norm(joints[start] - joints[end]) == pytest.approx(length)


def test_detections_behave_like_a_detector(crowd):
    overlaps, scores, boxes, people_count = [], [], 0, 0
    errors = {True: [], False: []}
    for _, people, detections in crowd:
        people_count += len(people)
        boxes += len(detections)
        for d in detections:
            x, y, w, h = d['bbox']
            assert w > 0 and h > 0 and 0 < d['score'] < 1
            assert min(w, h) > 3.9 and x >= 0 and y >= 0
            assert x + w <= 320.01 and y + h <= 240.01
            box = np.array([x, y, x + w, y + h])
            overlap = [_iou(box, p.bbox) for p in people]
            best = int(np.argmax(overlap))
            overlaps.append(overlap[best])
            scores.append(d['score'])
            if d['score'] > 0.5:
                errors[people[best].visible < 0.7].append(1 - overlap[best])
    assert np.corrcoef(overlaps, scores)[0, 1] > 0.6
    assert boxes > people_count  # more doubles and ghosts than misses
    assert np.min(overlaps) < 0.2  # ghosts
    assert np.mean(errors[True]) > np.mean(errors[False])


def make_person(wrist, full_bbox):
    """A seen person in the box (100, 50) to (150, 200), one wrist where one likes."""
    keypoints = np.zeros((17, 3))
    keypoints[:, 2] = 2
    keypoints[:, :2] = np.linspace((110, 60), (140, 190), 17)
    keypoints[9, :2] = wrist
    bbox = np.array([100.0, 50, 150, 200])
    return Person(keypoints, bbox, np.asarray(full_bbox, float), 4000, 1.0)


def edge_errors(person):
    """Where 400 simulated boxes have their edges, relative to the true box."""
    rng = np.random.default_rng(0)
    boxes = [_propose(rng, person, (320, 240), noise=1.0) for _ in range(400)]
    return np.stack(boxes) - person.bbox


def test_detector_cuts_off_stretched_limbs():
    whole = [96, 40, 154, 210]
    close = edge_errors(make_person((112, 120), whole))
    stretched = edge_errors(make_person((85, 120), whole))
    assert abs(close[:, 0].mean()) < 1
    assert stretched[:, 0].mean() > 4
    np.testing.assert_allclose(stretched[:, 1:], close[:, 1:], atol=1e-9)


def test_detector_errs_more_on_truncated_people():
    inside = edge_errors(make_person((112, 120), [96, 40, 154, 210]))
    truncated = edge_errors(make_person((112, 120), [96, -40, 154, 260]))
    assert truncated.std() > 1.5 * inside.std()


def test_unknown_difficulty():
    with pytest.raises(ValueError, match="'hard'"):
        next(render_split('train', 1, (320, 240), 'hard', seed=0))
    assert set(DIFFICULTIES) == {'easy', 'crowd'}
