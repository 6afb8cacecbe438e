# SPDX-License-Identifier: Apache-2.0
"""Annotations and boxes as converters and other tools write them."""

import copy
import json
import re

import pytest
from mmengine.config import Config
from mmpose.datasets.datasets.body import CocoDataset
from mmpose.registry import DATASETS
from PIL import Image

from rmpe_plugin.apis import list_images
from rmpe_plugin.datasets.datasets.body import checked_coco_dataset
from rmpe_plugin.utils.configs import find_config

COCO = dict(from_file='configs/_base_/datasets/coco.py')
BOX = [20.0, 10.0, 60.0, 90.0]
KEYPOINTS = [40.0, 50.0, 2] * 17


def person(number, **changes):
    """Annotation of a person in the first image; ``None`` removes a key."""
    record = dict(
        id=number, image_id=1, category_id=1, iscrowd=0, area=3000.0, bbox=BOX,
        num_keypoints=17, keypoints=KEYPOINTS,
    )  # fmt: skip
    record.update(changes)
    return {key: value for key, value in record.items() if value is not None}


def content(*people, **changes):
    """COCO annotations of an image of 200 x 100 pixels."""
    dataset = dict(
        images=[dict(id=1, file_name='1.png', width=200, height=100)],
        annotations=[*people],
        categories=[dict(id=1, name='person')],
    )
    dataset.update(changes)
    return {key: value for key, value in dataset.items() if value is not None}


@pytest.fixture
def load(tmp_path):
    """Function that builds the data set of annotations, and of boxes if given."""

    def build(dataset, boxes=None, kind='CheckedCocoDataset', **settings):
        ann_file = tmp_path / 'ann.json'
        ann_file.write_text(json.dumps(dataset))
        if boxes is not None:
            bbox_file = tmp_path / 'boxes.json'
            bbox_file.write_text(json.dumps(boxes))
            settings.update(bbox_file=str(bbox_file), test_mode=True)
        settings = dict(metainfo=COCO, pipeline=[]) | settings
        prefix = dict(img=str(tmp_path))
        return DATASETS.build(
            dict(type=kind, ann_file=str(ann_file), data_prefix=prefix, **settings)
        )

    return build


@pytest.fixture
def log(monkeypatch):
    """The logged messages."""
    messages = []

    def record(message, **_):
        messages.append(message)

    monkeypatch.setattr(checked_coco_dataset, 'print_log', record)
    return messages


def detection(box=BOX, **changes):
    return dict(image_id=1, category_id=1, bbox=box, score=0.9) | changes


def ids(dataset):
    return [dataset.get_data_info(i)['id'] for i in range(len(dataset))]


# --- people without labels ------------------------------------------------------------

UNLABELLED = [40.0, 50.0, 0] * 17


@pytest.mark.parametrize(
    'changes',
    [
        dict(keypoints=UNLABELLED, num_keypoints=None),
        dict(keypoints=UNLABELLED, num_keypoints=17),
        dict(keypoints=UNLABELLED, num_keypoints=0),
        dict(keypoints=[]),
        dict(keypoints=None),
        dict(bbox=None),
        dict(iscrowd=1, segmentation=dict(counts=[0, 20000], size=[100, 200])),
        dict(iscrowd=True),
        dict(num_keypoints=0, keypoints=[40.0, 50.0, 1] * 17),  # CrowdPose
        dict(bbox=[300.0, 10.0, 60.0, 90.0]),
        dict(bbox=[20.0, 10.0, -60.0, 90.0]),
        dict(bbox=[0.1, 0.1, 0.3, 0.9]),
    ],
)
def test_drops_people_that_cannot_be_trained(load, changes, log):
    dataset = load(content(person(1), person(2, **changes)))
    assert ids(dataset) == [1]
    (message,) = log
    assert 'ann.json: 1 of 2 people are used; dropped are 1 ' in message
    assert '(annotation 2)' in message


@pytest.mark.parametrize(
    'changes',
    [
        dict(num_keypoints=18.0),
        dict(num_keypoints=None, iscrowd=None, area=None),
        dict(area=0),
        dict(segmentation=[]),
        dict(segmentation=None),
        dict(iscrowd=False),
        dict(iscrowd=0.0),
        dict(attributes=dict(occluded=False), ignore=0),
        dict(keypoints=[40.0, 50.0, 2.0] * 17),
        dict(bbox=[-5.0, 10.0, 60.0, 95.0]),
    ],
)
def test_uses_what_mmpose_uses(load, changes):
    dataset = content(person(1, **changes))
    assert ids(load(dataset)) == ids(load(dataset, kind='CocoDataset')) == [1]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_keypoints=17.5), 'num_keypoints must be a whole number of at least'),
        (dict(num_keypoints='17'), 'num_keypoints must be a whole number of at least'),
        (dict(num_keypoints=0), 'annotation 2 has num_keypoints 0, but 17 visible'),
        (dict(area=-1), '(id 2): area must be a finite number of at least 0'),
        (dict(area='900'), '(id 2): area must be a finite number of at least 0'),
        (dict(category_id=3), '(id 2): category_id 3 is not among the categories [1]'),
        (dict(category_id=None), '(id 2) has no category_id'),
    ],
)
def test_raises_on_contradictions(load, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(content(person(1), person(2, **changes)))
    assert 'ann.json' in str(error.value)


@pytest.mark.parametrize('categories', [None, [], [dict(id=2, name='person')]])
def test_raises_without_the_category(load, categories):
    dataset = content(person(1), categories=categories)
    message = r'ann\.json.*(no categories|not among the categories \[2\])'
    for boxes in (None, [detection()]):
        with pytest.raises(ValueError, match=message):
            load(dataset, boxes)


def test_people_may_have_any_listed_category_but_with_boxes(load):
    category = [dict(id=0, name='person')]  # as of Label Studio
    dataset = content(person(1, category_id=0), categories=category)
    assert ids(load(dataset)) == [1]
    with pytest.raises(ValueError, match=r'must have category_id 1, got \[0\]'):
        load(dataset, [detection()])


# --- boxes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ([0.1, 0.2, 0.3, 0.5], 'all boxes are below 2 x 2 pixels; bbox must be x, y'),
        ([900, 900, 50, 80], '0 of 1 people are used.* outside of the image'),
        ([-90, 10, 50, 80], '0 of 1 people are used.* outside of the image'),
        ([20, 10, 0, 80], '0 of 1 people are used.* empty box'),
    ],
)
def test_raises_on_boxes_of_other_units_or_images(load, box, message):
    with pytest.raises(ValueError, match=rf'ann\.json: {message}'):
        load(content(person(1, bbox=box)))
    with pytest.raises(ValueError, match=rf'boxes\.json: {message}'):
        load(content(person(1)), [detection(box)])


def test_drops_and_logs_single_boxes_of_a_bbox_file(load, log):
    boxes = [
        detection([900, 900, 50, 80]),
        detection(category_id=2),
        detection(),
        detection([0.1, 0.2, 0.3, 0.5]),
        detection([-10, -10, 100, 60]),
    ]
    dataset = load(content(person(1)), boxes)
    people = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [p['bbox'][0].tolist() for p in people] == [
        [20, 10, 80, 100],
        [-10, -10, 90, 50],
    ]
    (message,) = log
    for reason in (
        '2 of 5 people are used',
        '1 with a box outside of the image (result of image 1)',
        '1 of other categories',
        '1 with a box below 2 x 2 pixels',
    ):
        assert reason in message


def test_raises_on_keypoints_from_0_to_1(load):
    people = [person(i, keypoints=[0.4, 0.5, 2] * 17) for i in (1, 2)]
    with pytest.raises(ValueError, match='ann.json: all labelled keypoints are from 0'):
        load(content(*people))
    assert ids(load(content(person(1), people[1]))) == [1, 2]


@pytest.mark.parametrize('annotations', [None, []])
def test_bbox_file_needs_no_annotations(load, annotations, tmp_path):
    dataset = content(annotations=annotations)
    boxes = [
        detection(keypoints=[0.0, 0.0, 1.0] * 17),  # not used
        detection([1.0, 2.0, 30.0, 40.0], keypoints=[]),
    ]
    expected = load(dataset, boxes, kind='CocoDataset')
    found = load(dataset, boxes)
    assert ids(found) == ids(expected) == [0, 1]
    assert found.get_data_info(1)['bbox'].tolist() == [[1.0, 2.0, 31.0, 42.0]]
    assert list_images(tmp_path / 'ann.json', tmp_path) == [(1, tmp_path / '1.png')]
    with pytest.raises(ValueError, match=r'ann\.json.* annotations|0 of 0 people'):
        load(dataset)


# --- sizes of images ------------------------------------------------------------------


def write_image(path, size, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', size).save(path, exif=exif)


@pytest.mark.parametrize('boxes', [None, [detection()]])
@pytest.mark.parametrize(
    ('size', 'orientation', 'message'),
    [
        ((100, 50), 1, 'is 100 x 50'),
        ((200, 100), 6, 'is 100 x 200 (after its rotation by EXIF)'),
        ((100, 200), 1, 'is 100 x 200'),
        ((200, 101), 3, 'is 200 x 101'),
    ],
)
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
def test_raises_on_another_size(
    load, tmp_path, size, orientation, message, boxes, suffix
):
    dataset = content(person(1))
    dataset['images'][0]['file_name'] = f'1.{suffix}'
    write_image(tmp_path / f'1.{suffix}', size, orientation)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(dataset, boxes)
    assert 'ann.json: image 1 has width and height (200, 100)' in str(error.value)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
def test_accepts_the_size_after_rotation(load, tmp_path, suffix):
    dataset = content(person(1))
    dataset['images'][0].update(file_name=f'1.{suffix}', width=200.0)
    write_image(tmp_path / f'1.{suffix}', (100, 200), orientation=6)
    assert ids(load(dataset)) == [1]


def test_loading_reports_images_that_cannot_be_read(load, tmp_path):
    assert ids(load(content(person(1)))) == [1]  # missing
    (tmp_path / '1.png').write_bytes(b'no image')
    assert ids(load(content(person(1)))) == [1]


# --- descriptions of keypoints --------------------------------------------------------

OWN = dict(
    dataset_name='own',
    keypoint_info={i: dict(name=f'p{i}', id=i, swap=f'p{i ^ 1}') for i in range(4)},
    skeleton_info={0: dict(link=('p0', 'p1'))},
    joint_weights=[1.0] * 4,
    sigmas=[0.05] * 4,
)


def swapped(**swaps):
    """The description with other entries ``swap``."""
    info = copy.deepcopy(OWN['keypoint_info'])
    for name, swap in swaps.items():
        info[int(name[1:])]['swap'] = swap
    return dict(keypoint_info=info)


def renamed(name):
    info = copy.deepcopy(OWN['keypoint_info'])
    info[3]['name'] = name
    return dict(keypoint_info=info)


def with_ids(*numbers):
    info = copy.deepcopy(OWN['keypoint_info'])
    for keypoint, number in zip(info.values(), numbers, strict=True):
        keypoint['id'] = number
    return dict(keypoint_info=info)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(sigmas=[0.05] * 17), 'sigmas must have 4 numbers, .* got 17'),
        (dict(sigmas=[]), 'sigmas must have 4 numbers, .* got 0'),
        (dict(sigmas=None), 'has no sigmas'),
        (dict(sigmas=[0.0] * 4), 'sigmas must be positive, got 0.0'),
        (dict(sigmas=[0.1, 0.1, 0.1, float('nan')]), 'sigmas must be positive'),
        (dict(sigmas=['0.1'] * 4), "sigmas must be positive, got '0.1'"),
        (dict(joint_weights=[1.0] * 17), 'joint_weights must have 4 .* got 17'),
        (dict(joint_weights=[-1.0] * 4), 'joint_weights must be not negative'),
        (swapped(p0='p3'), "p0.*: swap must be mutual, got 'p3', whose swap is 'p2'"),
        (swapped(p0=''), "p1.*: swap must be mutual, got 'p0', whose swap is 'p0'"),
        (swapped(p0='nose'), "p0.*: swap 'nose' is not the name of a keypoint"),
        (renamed('p2'), 'name of its own'),
        (renamed(''), 'name of its own'),
        (
            dict(keypoint_info=dict(reversed(OWN['keypoint_info'].items()))),
            r'keys of keypoint_info must be 0 to 3 in this order, got \[3, 2, 1, 0\]',
        ),
        (
            dict(keypoint_info={i + 1: k for i, k in OWN['keypoint_info'].items()}),
            'must be 0 to 3 in this order',
        ),
        (with_ids(1, 0, 2, 3), r'keypoint_info\[0\] has the id 1'),
        (dict(skeleton_info={0: dict(link=('p0', 'neck'))}), r'skeleton_info\[0\]'),
    ],
)
def test_raises_on_a_description_with_mistakes(load, tmp_path, changes, message):
    metainfo = {k: v for k, v in (OWN | changes).items() if v is not None}
    dataset = content(person(1, keypoints=KEYPOINTS[:12], num_keypoints=4))
    with pytest.raises(ValueError, match=rf'^metainfo.*{message}'):
        load(dataset, metainfo=metainfo)
    path = tmp_path / 'own.py'
    path.write_text(f'from math import nan\ndataset_info = {metainfo!r}')
    with pytest.raises(ValueError, match=rf'own\.py.*{message}'):
        load(dataset, metainfo=dict(from_file=str(path)))


def test_parses_a_valid_description(load):
    symmetric = swapped(p0='p0', p1='')
    dataset = load(
        content(person(1, keypoints=KEYPOINTS[:12])), metainfo=OWN | symmetric
    )
    assert dataset.metainfo['flip_indices'] == [0, 1, 3, 2]
    assert load(content(person(1)), metainfo=None).metainfo['num_keypoints'] == 17


@pytest.mark.parametrize(
    'name',
    ['coco', 'h36m', 'mpii', 'crowdpose', 'coco_wholebody', 'coco_wholebody_face'],
)
def test_parses_descriptions_as_mmpose(load, name):
    metainfo = dict(from_file=str(find_config(f'mmpose::_base_/datasets/{name}.py')))
    number = len(Config.fromfile(metainfo['from_file']).dataset_info.keypoint_info)
    dataset = content(person(1, keypoints=[40.0, 50.0, 2] * number))
    found = load(dataset, metainfo=metainfo).metainfo
    expected = load(dataset, metainfo=metainfo, kind='CocoDataset').metainfo
    assert found['flip_indices'] == expected['flip_indices']


def test_raises_on_a_missing_description(load):
    with pytest.raises(FileNotFoundError, match='metainfo.from_file none.py does not'):
        load(content(person(1)), metainfo=dict(from_file='none.py'))


NAMED = dict(id=1, name='cat', keypoints=['tip', 'left ear', 'right ear', 'tail'])


def four(**category):
    """Annotations of four keypoints with names in the category."""
    people = person(1, keypoints=KEYPOINTS[:12], num_keypoints=4)
    return content(people, categories=[NAMED | category])


def test_reads_the_keypoints_of_the_categories(load, log):
    dataset = load(four(skeleton=[[1, 4]]), metainfo=None)
    meta = dataset.metainfo
    assert [*meta['keypoint_name2id']] == NAMED['keypoints']
    assert meta['flip_indices'] == [0, 2, 1, 3]
    assert meta['skeleton_links'] == [(0, 3)]
    assert meta['dataset_name'] == 'cat'
    assert dataset.get_data_info(0)['flip_indices'] == [0, 2, 1, 3]
    (message,) = log
    assert (
        'ann.json: 4 keypoints; left and right by name: left ear and right' in message
    )
    assert message.endswith('default sigma 0.067: tip, left ear, right ear, tail')


def test_reads_the_categories_also_with_boxes(load):
    dataset = load(four(), [detection()], metainfo=None)
    assert dataset.get_data_info(0)['keypoints'].shape == (1, 4, 2)
    assert dataset.metainfo['flip_indices'] == [0, 2, 1, 3]


@pytest.mark.parametrize('extension', [dict(), dict(sigmas=[0.5] * 17), dict(swap=[])])
def test_names_of_coco_are_mmposes_description(load, log, extension):
    of_coco = load(content(person(1))).metainfo
    names = [*of_coco['keypoint_name2id']]
    category = dict(id=1, name='person', keypoints=names) | extension
    found = load(content(person(1), categories=[category]), metainfo=None).metainfo
    assert (found['upper_body_ids'] == of_coco['upper_body_ids']) == (not extension)
    assert (found['flip_indices'] == of_coco['flip_indices']) == (
        'swap' not in extension
    )
    assert (found['sigmas'][0] == 0.5) == ('sigmas' in extension)
    assert len(log) == bool(extension)


def test_says_that_coco_keypoints_are_assumed(load, log):
    load(content(person(1)), metainfo=None)
    (message,) = log
    assert message.endswith(
        'ann.json: no category names keypoints; they are the 17 of coco'
    )


def test_explicit_description_wins_but_must_not_contradict(load, log):
    own = dict(OWN, keypoint_info={
        i: dict(name=name, id=i, swap='') for i, name in
        enumerate(['tip', 'left ear', 'right ear', 'Tail'])
    }, skeleton_info={})  # fmt: skip
    assert load(four(), metainfo=own).metainfo['flip_indices'] == [0, 1, 2, 3]
    (message,) = log
    assert message.endswith("other names than metainfo, where 'tail' is 'Tail'")
    with pytest.raises(ValueError, match='names 4 keypoints, but metainfo 17'):
        load(four())
    swapped = four(keypoints=['tip', 'right ear', 'left ear', 'tail'])
    with pytest.raises(ValueError, match="'right ear' is keypoint 2, but keypoint 3"):
        load(swapped, metainfo=own)


def test_bottom_up_data_has_an_item_for_each_image(load):
    people = content(person(1), person(2, iscrowd=1))
    assert len(load(people, data_mode='bottomup')) == 1
    assert issubclass(DATASETS.get('CheckedCocoDataset'), CocoDataset)
