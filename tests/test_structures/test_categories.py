# SPDX-License-Identifier: Apache-2.0
"""Keypoints that the categories of an annotation file describe."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmpose.datasets.datasets.body import CocoDataset

from rmpe_plugin.datasets.conversion import make_category
from rmpe_plugin.structures import (
    categories,
    compare_keypoints,
    describe_keypoints,
    named_categories,
    parse_metainfo,
    read_metainfo,
)
from rmpe_plugin.utils.configs import find_config

FILE = Path('own.json')
NAMES = ['nose', 'left paw', 'right paw', 'хвост']


def dataset(*categories, used=()):
    """Annotations with these categories; ``used`` are ids of annotated ones."""
    people = [dict(category_id=i, keypoints=[1, 2, 2]) for i in used]
    return dict(images=[], annotations=people, categories=[*categories])


def category(number=1, names=NAMES, **entries):
    return dict(id=number, name='cat', keypoints=names, **entries)


def describe(*categories, **settings):
    return describe_keypoints(FILE, dataset(*categories, **settings))


def swaps(*names):
    return describe(category(names=[*names])).swaps


def test_reads_names_skeleton_swap_and_sigmas():
    sigmas = [0.1, 0.2, 0.3, 0.4]
    entries = dict(skeleton=[[1, 2], [3, 4]], swap=[[4, 1]], sigmas=sigmas)
    found = describe(category(**entries))
    meta = parse_metainfo(found.metainfo)
    assert [*meta['keypoint_name2id']] == found.names == NAMES
    assert meta['skeleton_links'] == [(0, 1), (2, 3)]
    assert meta['flip_indices'] == [3, 1, 2, 0]
    assert meta['sigmas'].tolist() == np.float32(sigmas).tolist()
    assert found.notes == []


def test_derives_swap_and_sigmas_and_says_so():
    found = describe(category())
    meta = parse_metainfo(found.metainfo)
    assert meta['flip_indices'] == [0, 2, 1, 3]
    assert meta['sigmas'].tolist() == np.float32([0.026, 0.067, 0.067, 0.067]).tolist()
    assert meta['skeleton_links'] == []
    assert found.notes == [
        'left and right by name: left paw and right paw',
        'sigmas of COCO: nose',
        'default sigma 0.067: left paw, right paw, хвост',
    ]


def test_default_sigma_is_the_mean_of_coco():
    meta = parse_metainfo(CocoDataset.METAINFO)
    assert meta['sigmas'].mean() == pytest.approx(0.067, abs=5e-4)


@pytest.mark.parametrize('name', ['coco', 'crowdpose', 'aic', 'ap10k', 'mpii', 'h36m'])
def test_derives_the_swaps_of_mmposes_data_sets(name):
    path = find_config(f'mmpose::_base_/datasets/{name}.py')
    of_mmpose = parse_metainfo(dict(from_file=str(path)))
    names = [*of_mmpose['keypoint_name2id']]
    skeleton = [[a + 1, b + 1] for a, b in of_mmpose['skeleton_links']]
    found = describe(category(names=names, skeleton=skeleton))
    meta = parse_metainfo(found.metainfo)
    assert meta['flip_indices'] == of_mmpose['flip_indices']
    assert meta['skeleton_links'] == of_mmpose['skeleton_links']


def test_description_of_coco_is_that_of_mmpose():
    of_mmpose = parse_metainfo(CocoDataset.METAINFO)
    meta = parse_metainfo(describe(make_category(CocoDataset.METAINFO)).metainfo)
    assert np.array_equal(meta['sigmas'], of_mmpose['sigmas'])
    # MMPose draws the face in one colour
    assert np.array_equal(meta['keypoint_colors'][5:], of_mmpose['keypoint_colors'][5:])
    assert meta['flip_indices'] == of_mmpose['flip_indices']


@pytest.mark.parametrize(
    ('left', 'right'),
    [
        ('left_knee', 'right_knee'),
        ('Left Knee', 'Right Knee'),
        ('LEFT-KNEE', 'RIGHT-KNEE'),
        ('knee_left', 'knee_right'),
        ('leftKnee', 'rightKnee'),
        ('LeftKnee', 'RightKnee'),
        ('kneeLeft', 'kneeRight'),
        ('leftknee', 'rightknee'),
        ('l_knee', 'r_knee'),
        ('L.Knee', 'R.Knee'),
        ('knee l', 'knee r'),
        ('knee1L', 'knee1R'),
        ('LKnee', 'RKnee'),
        ('lKnee', 'rKnee'),
        ('kneeL', 'kneeR'),
        ('L1', 'R1'),
        ('left_eye_right_corner', 'right_eye_left_corner'),
        ('left_ухо', 'right_ухо'),
    ],
)
def test_pairs_names_of_left_and_right(left, right):
    assert swaps('nose', right, left) == [(left, right)]


@pytest.mark.parametrize(
    'names',
    [
        ('bright', 'bleft'),
        ('lknee', 'rknee'),
        ('left_knee', 'Right_knee'),
        ('left_knee', 'right_ankle'),
        ('ball', 'barr'),
        ('LKNEE', 'RKNEE'),
        ('левый', 'правый'),
        ('1', '2'),
    ],
)
def test_does_not_pair_other_names(names):
    assert swaps(*names) == []


def test_notes_sides_without_a_partner():
    found = describe(category(names=['left_paw', 'tail', 'r_ear']))
    assert found.swaps == []
    assert found.notes[:2] == [
        'left and right by name: none',
        'without a partner: left_paw, r_ear',
    ]


def test_an_empty_swap_means_none():
    assert describe(category(swap=[])).swaps == []


def test_one_keypoint():
    meta = parse_metainfo(describe(category(names=['tip'], skeleton=[])).metainfo)
    assert meta['flip_indices'] == [0]
    assert meta['sigmas'].shape == (1,)


@pytest.mark.parametrize(
    ('entries', 'message'),
    [
        (dict(names=['a', 'b', 'a']), "different names, got ['a', 'b', 'a']"),
        (dict(names=['a', ' ']), 'different names'),
        (dict(names=['a', 1]), 'different names'),
        (dict(names=[['a'], 'b']), 'different names'),
        (dict(names='nose'), 'different names'),
        (dict(skeleton=[[0, 1]]), 'skeleton must be a list of pairs of two keypoints, '
         'from 1 to 4, got [0, 1]'),
        (dict(skeleton=[[1, 2], [4, 5]]), 'got [4, 5]'),
        (dict(skeleton=[[1, 1]]), 'got [1, 1]'),
        (dict(skeleton=[[1, 2, 3]]), 'got [1, 2, 3]'),
        (dict(skeleton=[[1, 2.0]]), 'got [1, 2.0]'),
        (dict(skeleton=[['nose', 'a']]), "got ['nose', 'a']"),
        (dict(skeleton=[1, 2]), 'got 1'),
        (dict(skeleton='all'), 'got all'),
        (dict(swap=[[2, 5]]), 'swap must be a list of pairs of two keypoints, from 1'),
        (dict(swap=None), 'swap must be'),
        (dict(swap=[[1, 2], [2, 3]]), "'left paw' is in several pairs of swap"),
        (dict(sigmas=[0.1]), 'sigmas must be 4 positive numbers'),
        (dict(sigmas=[0.1, 0.1, 0.1, 0]), 'sigmas must be 4 positive numbers'),
        (dict(sigmas=[0.1, 0.1, 0.1, '1']), 'sigmas must be 4 positive numbers'),
        (dict(sigmas=0.1), 'sigmas must be 4 positive numbers'),
    ],
)  # fmt: skip
def test_raises_on_entries_that_are_not_valid(entries, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        describe(category(3, **entries))
    assert str(error.value).startswith('own.json: category 3: ')


def test_takes_the_categories_that_are_annotated():
    person, dog = category(1), category(2, names=['tail'])
    nameless = dict(id=3, name='car')
    assert describe(person, dog, used=[2, 2]).names == ['tail']
    assert describe(nameless, dog).names == ['tail']
    assert describe(person, category(4), used=[1, 4]).names == NAMES
    # annotations of a category without names
    assert describe(nameless, dog, used=[3]).names == ['tail']
    assert describe(nameless, used=[3]) is describe() is None
    assert describe(category(names=[])) is None


@pytest.mark.parametrize(
    'other', [dict(names=['tail']), dict(skeleton=[[1, 2]]), dict(sigmas=[1] * 4)]
)
def test_raises_on_several_categories_that_differ(other):
    with pytest.raises(ValueError, match='keypoints of the categories 1 and 2 differ'):
        describe(category(1), category(2, **other), used=[1, 2])


def test_compares_names():
    content = dataset(category(7))
    assert [*compare_keypoints(FILE, content, NAMES)] == []
    (difference,) = compare_keypoints(FILE, content, ['Nose', *NAMES[1:3], 'tail'])
    assert difference == (
        "own.json: category 7 has other names than metainfo, where 'nose' is 'Nose', "
        "'хвост' is 'tail'"
    )
    with pytest.raises(ValueError, match='7 names 4 keypoints, but metainfo 3'):
        [*compare_keypoints(FILE, content, NAMES[:3])]
    with pytest.raises(ValueError, match="'left paw' is keypoint 2, but keypoint 3 in"):
        [*compare_keypoints(FILE, content, [NAMES[i] for i in (0, 2, 1, 3)])]
    assert named_categories(FILE, dataset()) == []


def test_config_of_mmpose_has_the_sigmas():
    coco = Config.fromfile(find_config('mmpose::_base_/datasets/coco.py')).dataset_info
    found = describe(category(names=['left_ear'])).metainfo['sigmas']
    assert found == [coco.sigmas[3]]


def test_reads_the_description_of_a_file_of_annotations(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(categories, 'print_log', lambda text, **_: logged.append(text))
    path = tmp_path / 'own.json'
    path.write_text(json.dumps(dataset(category())))
    assert [*read_metainfo(path)['keypoint_name2id']] == NAMES
    assert logged[0].startswith(f'{path}: 4 keypoints; left and right by name')
    crowdpose = read_metainfo(path, 'configs/_base_/datasets/crowdpose.py')
    assert crowdpose['num_keypoints'] == 14
    # MMPose's description of COCO has a skeleton
    of_coco = make_category(CocoDataset.METAINFO) | dict(skeleton=[[0, 1]])
    path.write_text(json.dumps(dataset(of_coco)))
    assert read_metainfo(path)['dataset_name'] == 'coco'
    assert len(logged) == 1
    path.write_text(json.dumps(dataset(dict(id=1))))
    assert read_metainfo(path)['dataset_name'] == 'coco'
    assert logged[1:] == [
        f'{path}: no category names keypoints; they are the 17 of coco'
    ]
