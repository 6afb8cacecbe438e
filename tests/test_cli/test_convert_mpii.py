# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS, METRICS
from scipy.io import savemat

from rmpe_plugin.structures import read_annotations
from tests.conftest import run_command

TOOL = 'convert mpii'
EMPTY = np.zeros((0, 0))


def cells(values):
    """Cell array of MATLAB."""
    array = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


def structs(values):
    """Struct array of MATLAB; all structs get the fields of all."""
    fields = {name: None for value in values for name in value}
    array = np.empty((1, len(values)), dtype=[(name, object) for name in fields])
    for i, value in enumerate(values):
        for name in fields:
            array[name][0, i] = value.get(name, EMPTY)
    return array


def rect(x, y, joints=range(16), scale=0.3):
    """Annotation of a person whose joint i is at (x + i, y + 2 i), 1-based."""
    points = [
        dict(x=float(x + i), y=float(y + 2 * i), id=float(i), is_visible=str(i % 2))
        for i in joints
    ]
    for point in points:
        if point['id'] in (6, 7):
            point['is_visible'] = EMPTY
    return dict(
        x1=float(x), y1=float(y - 20), x2=float(x + 12), y2=float(y - 4),
        scale=scale, objpos=structs([dict(x=float(x + 8), y=float(y + 16))]),
        annopoints=structs([dict(point=structs(points))]),
    )  # fmt: skip


@pytest.fixture
def release(tmp_path):
    """Folder with a release of six small images and its groups."""
    unannotated = dict(objpos=structs([dict(x=5.0, y=5.0)]), scale=1.0)
    rects = [
        [rect(30, 40), rect(60, 40), rect(120, 40)],  # a group of two, and one person
        [rect(30, 40, joints=(0, 9))],
        [rect(30, 40), unannotated],
        [unannotated],  # of the test images
        [rect(20, 40), rect(50, 45)],
        [],
    ]
    annolist = structs(
        [
            dict(
                image=structs([dict(name=f'{i + 1:09}.jpg')]),
                annorect=structs(people) if people else EMPTY,
            )
            for i, people in enumerate(rects)
        ]
    )
    single = [np.array([[3]]), np.array([[1]]), np.array([[1]]), EMPTY, EMPTY, EMPTY]
    groups = [
        cells([np.array([[1], [2]]), np.array([[3]])]),
        cells([np.array([[1]])]),
        cells([np.array([[1]]), np.array([[2]])]),
        cells([np.array([[1]])]),
        cells([np.array([[1], [2]])]),
        cells([]),
    ]
    content = dict(
        annolist=annolist,
        img_train=np.array([[1, 1, 1, 0, 1, 1]]),
        single_person=cells(single).T,
    )
    savemat(tmp_path / 'release.mat', dict(RELEASE=structs([content])))
    savemat(tmp_path / 'groups.mat', dict(groups=cells(groups).T))
    write_images(tmp_path, 6)
    return tmp_path


def write_images(folder, number):
    (folder / 'images').mkdir()
    for i in range(number):
        image = np.zeros((100, 160, 3), np.uint8)
        cv2.imwrite(str(folder / 'images' / f'{i + 1:09}.jpg'), image)


def convert(folder, name, *args):
    return run_command(
        TOOL, folder / name, folder / 'images', '--out', folder / 'out', *args,
        check=False,
    )  # fmt: skip


def test_converts_the_release(release):
    groups = release / 'groups.mat'
    result = convert(
        release, 'release.mat', '--groups', groups, '--num-val', 1, '--seed', 1
    )
    assert result.returncode == 0, result.stderr
    train, val = (
        read_annotations(release / 'out' / f'mpii_coco_{split}.json')
        for split in ('train', 'val')
    )
    assert {image['id'] for image in val['images']} <= {1, 5}
    assert len(val['images']) == 1
    people = train['annotations'] + val['annotations']
    assert len(people) == 7
    groups = {1: [0, 0, -1], 2: [-1], 3: [-1], 5: [0, 0]}
    for image_id, expected in groups.items():
        found = [p['group'] for p in people if p['image_id'] == image_id]
        assert found == expected

    first = next(p for p in people if p['image_id'] == 1)
    keypoints = np.reshape(first['keypoints'], (16, 3))
    assert keypoints[3].tolist() == [32, 45, 2]  # 0-based
    assert keypoints[4].tolist() == [33, 47, 1]
    assert keypoints[6:8, 2].tolist() == [2, 2]
    assert first['head_box'] == [29, 19, 12, 16]
    assert (first['position'], first['scale']) == ([37, 55], 0.3)
    margin = 0.05 * 50
    assert first['bbox'] == pytest.approx(
        [29 - margin, 19 - margin, 15 + 2 * margin, 50 + 2 * margin]
    )
    few = next(p for p in people if p['image_id'] == 2)
    assert few['num_keypoints'] == 2


def test_group_with_a_separated_person_is_no_group(release):
    """RMPE's evaluation leaves these groups to that of single people."""
    path = release / 'other.mat'
    everyone, pair = np.array([[1], [2], [3]]), np.array([[1], [2]])
    groups = [cells([everyone]), *[cells([])] * 3, cells([pair]), cells([])]
    savemat(path, dict(groups=cells(groups).T))
    result = convert(release, 'release.mat', '--groups', path, '--num-val', 1)
    assert result.returncode == 0, result.stderr
    people = [
        person
        for split in ('train', 'val')
        for person in read_annotations(release / 'out' / f'mpii_coco_{split}.json')[
            'annotations'
        ]
    ]
    for image_id, expected in {1: [-1] * 3, 5: [0, 0]}.items():
        found = [p['group'] for p in people if p['image_id'] == image_id]
        assert found == expected


def test_output_loads_and_is_evaluated(release):
    args = ('--groups', release / 'groups.mat', '--num-val', 2)
    assert convert(release, 'release.mat', *args).returncode == 0
    ann_file = release / 'out' / 'mpii_coco_val.json'
    dataset = DATASETS.build(
        dict(
            type='CheckedCocoDataset',
            metainfo=dict(from_file='configs/_base_/datasets/mpii.py'),
            ann_file=str(ann_file),
            data_prefix=dict(img=str(release / 'images')),
        )
    )
    assert len(dataset) == 5
    metric = METRICS.build(
        dict(type='MultiPersonMAP', ann_file=str(ann_file), groups='mpii')
    )
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        pose = dict(
            keypoints=info['keypoints'],
            keypoint_scores=np.ones((1, 16)),
            bboxes=info['bbox'],
        )
        gt = dict(bbox_scores=np.ones(1))
        sample = dict(id=index, img_id=info['img_id'], pred_instances=pose)
        metric.process([], [dict(sample, gt_instances=gt)])
    assert metric.evaluate(size=5)['multi_person/mAP'] == pytest.approx(100)


def test_images_of_the_validation_are_not_used_for_training(release):
    excluded = release / 'mpii_val.json'
    excluded.write_text(json.dumps([dict(image='000000003.jpg')]))
    args = ('--groups', release / 'groups.mat', '--num-val', 2, '--exclude', excluded)
    assert convert(release, 'release.mat', *args).returncode == 0
    train = read_annotations(release / 'out' / 'mpii_coco_train.json')
    assert [image['id'] for image in train['images']] == [2]


@pytest.fixture
def mmpose(tmp_path):
    """Folder with annotations of two people in MMPose's format."""
    records = [
        dict(
            image=f'{i + 1:09}.jpg',
            joints=[[10.0 + k, 20.0 + 2 * k] for k in range(16)],
            joints_vis=[1] * 15 + [0],
            center=[30.0, 50.0],
            scale=1.0,
        )
        for i in range(2)
    ]
    (tmp_path / 'mpii_val.json').write_text(json.dumps(records))
    heads = np.array([[[18.0, 5.0], [28.0, 19.0]]] * 2).transpose(1, 2, 0)
    savemat(tmp_path / 'gt.mat', dict(headboxes_src=heads))
    write_images(tmp_path, 2)
    return tmp_path


def test_converts_annotations_of_mmpose(mmpose):
    result = convert(mmpose, 'mpii_val.json', '--head-boxes', mmpose / 'gt.mat')
    assert result.returncode == 0, result.stderr
    dataset = read_annotations(mmpose / 'out' / 'mpii_coco_val.json')
    assert [image['id'] for image in dataset['images']] == [1, 2]
    person = dataset['annotations'][0]
    keypoints = np.reshape(person['keypoints'], (16, 3))
    assert keypoints[0].tolist() == [9, 19, 2]
    assert keypoints[15].tolist() == [0, 0, 0]
    assert person['head_box'] == [17, 4, 10, 14]
    assert person['group'] == -1


@pytest.mark.parametrize(
    ('change', 'args', 'message'),
    [
        (lambda f: None, ('--num-val', 1), '--num-val must be 0 to 0'),
        (
            lambda f: savemat(f / 'release.mat', dict(x=1)),
            (), 'has no variable RELEASE',
        ),
        (
            lambda f: savemat(f / 'release.mat', dict(RELEASE=structs([dict(x=1)]))),
            (), 'RELEASE has no annolist, img_train, single_person',
        ),
        (lambda f: (f / 'release.mat').write_text('x'), (), 'is not a MATLAB file'),
        (
            lambda f: savemat(f / 'groups.mat', dict(groups=cells([cells([])]))),
            ('--groups', 'groups.mat'), 'has groups of 1 images, the release has 6',
        ),
        (
            lambda f: (f / 'images/000000002.jpg').unlink(),
            ('--num-val', 0), '000000002.jpg',
        ),
        (
            lambda f: (f / 'images/000000002.jpg').write_text('x'),
            ('--num-val', 0), '000000002.jpg is not an image',
        ),
    ],
)  # fmt: skip
def test_errors_of_the_release(release, change, args, message):
    change(release)
    args = [release / a if a == 'groups.mat' else a for a in args]
    result = convert(release, 'release.mat', *args)
    assert result.returncode == 2
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


def test_errors_of_annotations_of_mmpose(mmpose):
    result = convert(mmpose, 'mpii_val.json', '--groups', mmpose / 'gt.mat')
    assert '--groups and --exclude are for the release' in result.stderr
    result = convert(mmpose, 'mpii_val.json')
    assert result.returncode == 2
    assert 'contains no head boxes, which MultiPersonMAP needs' in result.stderr

    savemat(mmpose / 'gt.mat', dict(headboxes_src=np.zeros((2, 2, 5))))
    result = convert(mmpose, 'mpii_val.json', '--head-boxes', mmpose / 'gt.mat')
    assert 'must be (2, 2, N) for the 2 people' in result.stderr

    (mmpose / 'mpii_val.json').write_text('[{"image": "1.jpg"}]')
    result = convert(mmpose, 'mpii_val.json')
    assert "is not an annotation file of MMPose: KeyError('joints')" in result.stderr
