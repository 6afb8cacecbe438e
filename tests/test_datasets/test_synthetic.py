# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from mmpose.registry import METRICS
from xtcocotools.coco import COCO

from rmpe_plugin.datasets.synthetic import (
    DIFFICULTIES,
    KEYPOINTS,
    MPII_KEYPOINTS,
    Person,
    render_split,
    write_split,
)
from rmpe_plugin.datasets.synthetic.body import sample_body
from rmpe_plugin.datasets.synthetic.detector import box_iou, perturb_box
from rmpe_plugin.structures import read_annotations


@pytest.fixture(scope='module')
def crowd():
    return list(render_split('train', 60, (320, 240), 'crowd', seed=3))


def test_same_seed_writes_same_bytes_in_one_or_two_processes(tmp_path):
    for name, processes in (('a', 1), ('b', 2)):
        write_split(
            tmp_path / name, 'val', 3, (320, 240), 'crowd', seed=5, processes=processes
        )
    write_split(tmp_path / 'c', 'val', 3, (320, 240), 'crowd', seed=6)
    files = [p.relative_to(tmp_path / 'a') for p in (tmp_path / 'a').rglob('*.j*')]
    assert len(files) == 5
    for file in files:
        content = (tmp_path / 'a' / file).read_bytes()
        assert content == (tmp_path / 'b' / file).read_bytes()
        assert content != (tmp_path / 'c' / file).read_bytes()


def test_image_does_not_depend_on_the_number_of_images():
    short = list(render_split('val', 2, (160, 120), 'easy', seed=1))
    long = list(render_split('val', 4, (160, 120), 'easy', seed=1))
    for (a, *_), (b, *_) in zip(short, long, strict=False):
        np.testing.assert_array_equal(a, b)


def test_images_of_splits_differ():
    (train, *_), (val, *_) = (
        next(render_split(split, 1, (160, 120), 'easy', seed=1))
        for split in ('train', 'val')
    )
    assert (train != val).any()


def test_mpii_keypoints_are_those_of_the_body(crowd):
    people = [person for _, people, _ in crowd for person in people]
    coco, mpii = (
        np.stack([getattr(person, name) for person in people])
        for name in ('keypoints', 'mpii_keypoints')
    )
    for k, name in enumerate(MPII_KEYPOINTS):
        if name in KEYPOINTS:
            np.testing.assert_array_equal(mpii[:, k], coco[:, KEYPOINTS.index(name)])

    def distance(a, b, between, layout=mpii, names=MPII_KEYPOINTS):
        """Distance of the middle of two joints to a joint, in head sizes."""
        first, second, third = (layout[:, names.index(n)] for n in (a, b, between))
        labelled = (first[:, 2] > 0) & (second[:, 2] > 0) & (third[:, 2] > 0)
        middle = (first[:, :2] + second[:, :2]) / 2
        size = np.array([np.ptp(person.head_box.reshape(2, 2)) for person in people])
        return (np.hypot(*(middle - third[:, :2]).T) / size)[labelled]

    assert distance('left_hip', 'right_hip', 'pelvis').max() < 1e-9
    assert distance('left_shoulder', 'right_shoulder', 'thorax').max() < 1e-9
    # The head top is above the neck, and the upper neck between thorax and head.
    assert distance('thorax', 'head_top', 'upper_neck').max() < 1
    for person in people:
        x1, y1, x2, y2 = person.head_box
        face = person.keypoints[:5]
        x, y, _ = face[face[:, 2] > 0].T
        assert ((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).all()


def test_groups_overlap_and_have_two_to_four_people():
    scenes = list(render_split('train', 60, (320, 240), 'groups', seed=0))
    numbers = [len(people) for _, people, _ in scenes]
    assert max(numbers) == 4
    overlaps = [
        max(
            box_iou(a.full_bbox, b.full_bbox)
            for i, a in enumerate(people)
            for b in people[:i]
        )
        for _, people, _ in scenes
        if len(people) > 1
    ]
    assert len(overlaps) > 50
    assert np.mean(overlaps) > 0.3


def test_mpii_annotations_have_head_boxes(tmp_path):
    people, _ = write_split(
        tmp_path, 'val', 5, (320, 240), 'groups', seed=0, layout='mpii'
    )
    path = tmp_path / 'annotations' / 'person_keypoints_val.json'
    dataset = read_annotations(path)
    assert dataset['categories'][0]['keypoints'] == list(MPII_KEYPOINTS)
    assert len(dataset['annotations']) == people
    metric = METRICS.build(dict(type='MultiPersonMAP', ann_file=str(path)))
    metric.dataset_meta = dict(keypoint_id2name=dict(enumerate(MPII_KEYPOINTS)))
    for person in dataset['annotations']:
        keypoints = np.reshape(person['keypoints'], (1, 16, 3))
        x, y, w, h = person['bbox']
        pose = dict(
            keypoints=keypoints[..., :2],
            keypoint_scores=(keypoints[..., 2] > 0).astype(float),
            bboxes=np.array([[x, y, x + w, y + h]]),
        )
        sample = dict(
            id=person['id'],
            img_id=person['image_id'],
            pred_instances=pose,
            gt_instances=dict(bbox_scores=np.ones(1)),
        )
        metric.process([], [sample])
    assert metric.evaluate(size=people)['multi_person/mAP'] > 99
    with pytest.raises(ValueError, match="layout must be one of .*, got 'h36m'"):
        write_split(tmp_path, 'x', 1, (160, 120), 'easy', seed=0, layout='h36m')


def test_annotations_are_valid_coco(synthetic):
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
        pixels = cv2.imread(str(synthetic / 'train' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)


def test_loads_with_ground_truth_boxes_and_with_detections(synthetic):
    settings = dict(
        ann_file='annotations/person_keypoints_val.json',
        data_root=str(synthetic),
        data_prefix=dict(img='val/'),
        test_mode=True,
    )
    bbox_file = synthetic / 'annotations' / 'person_detections_val.json'
    assert len(CocoDataset(**settings)) > 0
    detections = CocoDataset(**settings, bbox_file=str(bbox_file))
    assert len(detections) == len(json.loads(bbox_file.read_text()))


def test_annotation_file_states_that_detections_are_simulated(synthetic):
    path = synthetic / 'annotations' / 'person_keypoints_val.json'
    assert 'simulated' in json.loads(path.read_text())['info']['description']


def test_crowded_people_occlude_each_other(crowd):
    visibility = np.concatenate(
        [p.keypoints[:, 2] for _, people, _ in crowd for p in people]
    )
    for v in (0, 1, 2):
        assert (visibility == v).mean() > 0.03
    visible = [p.visible for _, people, _ in crowd for p in people]
    assert np.mean(np.array(visible) < 0.8) > 0.2
    easy = list(render_split('train', 60, (320, 240), 'easy', seed=3))
    easy_visible = [p.visible for _, people, _ in easy for p in people]
    assert np.mean(easy_visible) > np.mean(visible) + 0.05


def test_outstretched_wrists_of_single_people_are_visible():
    # Only the body itself can occlude a joint of a single person, and wrists at the
    # sides of the box are not behind it.
    visible = []
    for _, people, _ in render_split('train', 80, (320, 240), 'easy', seed=9):
        for person in people if len(people) == 1 else []:
            box, keypoints = person.bbox, person.keypoints
            reach = (keypoints[[9, 10], 0] < box[0] + 8) | (
                keypoints[[9, 10], 0] > box[2] - 8
            )
            inside = keypoints[[9, 10], 2] > 0
            visible += (keypoints[[9, 10], 2][reach & inside] == 2).tolist()
    assert len(visible) > 15
    assert np.mean(visible) > 0.95


def test_bodies_have_front_and_back_views():
    bodies = [sample_body(np.random.default_rng(i), 1.0) for i in range(300)]
    towards = np.array([b.facing[2] > 0 for b in bodies])
    assert 0.15 < 1 - towards.mean() < 0.5
    # In a front view the person's left is on the right of the image.
    left_is_right = np.array([b.joints[5, 0] > b.joints[6, 0] for b in bodies])
    assert (left_is_right == towards).mean() > 0.8


def test_limbs_have_constant_lengths():
    for i in range(50):
        joints = sample_body(np.random.default_rng(i), 1.0).joints
        for start, end, length in ((5, 7, 0.17), (7, 9, 0.15), (12, 14, 0.24)):
            assert np.linalg.norm(joints[start] - joints[end]) == pytest.approx(length)


def test_detections_have_the_errors_of_a_detector(crowd):
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
            overlap = [box_iou(box, p.bbox) for p in people]
            best = int(np.argmax(overlap))
            overlaps.append(overlap[best])
            scores.append(d['score'])
            if d['score'] > 0.5:
                errors[people[best].visible < 0.7].append(1 - overlap[best])
    assert np.corrcoef(overlaps, scores)[0, 1] > 0.6
    assert boxes > people_count  # more duplicates and false positives than misses
    assert np.min(overlaps) < 0.2  # false positives
    assert np.mean(errors[True]) > np.mean(errors[False])


def make_person(wrist, full_bbox):
    """A visible person in the box (100, 50, 150, 200) with one wrist anywhere."""
    keypoints = np.zeros((17, 3))
    keypoints[:, 2] = 2
    keypoints[:, :2] = np.linspace((110, 60), (140, 190), 17)
    keypoints[9, :2] = wrist
    bbox = np.array([100.0, 50, 150, 200])
    return Person(
        keypoints=keypoints,
        mpii_keypoints=np.zeros((16, 3)),
        head_box=bbox,
        bbox=bbox,
        full_bbox=np.asarray(full_bbox, float),
        area=4000,
        visible=1.0,
    )


def edge_errors(person):
    """Errors of the edges of 400 simulated boxes (400, 4)."""
    rng = np.random.default_rng(0)
    boxes = [perturb_box(rng, person, (320, 240), noise=1.0) for _ in range(400)]
    return np.stack(boxes) - person.bbox


def test_detector_cuts_off_outstretched_limbs():
    whole = [96, 40, 154, 210]
    close = edge_errors(make_person((112, 120), whole))
    stretched = edge_errors(make_person((85, 120), whole))
    assert abs(close[:, 0].mean()) < 1
    assert stretched[:, 0].mean() > 4
    np.testing.assert_allclose(stretched[:, 1:], close[:, 1:], atol=1e-9)


def test_detector_errors_are_larger_for_truncated_people():
    inside = edge_errors(make_person((112, 120), [96, 40, 154, 210]))
    truncated = edge_errors(make_person((112, 120), [96, -40, 154, 260]))
    assert truncated.std() > 1.5 * inside.std()


def test_raises_on_unknown_difficulty():
    with pytest.raises(ValueError, match="'hard'"):
        next(render_split('train', 1, (320, 240), 'hard', seed=0))
    assert set(DIFFICULTIES) == {'easy', 'groups', 'crowd'}
