# SPDX-License-Identifier: Apache-2.0
"""Files that are cut off, of the wrong shape, or damaged record by record."""

import copy
import json
import logging
import math
import pickle
import re
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import CheckpointLoader
from mmpose.registry import DATASETS

from rmpe_plugin.structures.coco import read_results
from tests.conftest import ROOT

CONFIG = Config.fromfile(
    ROOT / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
)
KEYPOINTS = [12.5, 40.0, 2] * 17


def truth():
    """Two images and three people, all of them to be used."""
    people = [
        dict(
            id=10 + i,
            image_id=1 + i // 2,
            category_id=1,
            bbox=[5.0, 6.0, 50.0, 80.0],
            area=900.0,
            iscrowd=0,
            num_keypoints=17,
            keypoints=list(KEYPOINTS),
        )
        for i in range(3)
    ]
    names = ('a.jpg', 'b.jpg')
    images = [
        dict(id=1 + i, file_name=name, width=320, height=240)
        for i, name in enumerate(names)
    ]
    category = dict(id=1, name='person', keypoints=['x'] * 17, skeleton=[])
    return dict(images=images, annotations=people, categories=[category])


def detections():
    """A detection for each of two people."""
    box = [5.0, 6.0, 50.0, 80.0]
    return [dict(image_id=i, category_id=1, bbox=box, score=0.5) for i in (1, 2)]


def load(folder, ann, boxes=None, **changes):
    """The data set that a training makes of annotations, or a test of detections."""
    path = folder / 'ann.json'
    path.write_text(ann if isinstance(ann, str) else json.dumps(ann))
    settings = dict(CONFIG.train_dataloader.dataset, pipeline=[], **changes)
    settings.update(
        data_root=str(folder), ann_file='ann.json', data_prefix=dict(img='')
    )
    if boxes is not None:
        found = folder / 'det.json'
        found.write_text(boxes if isinstance(boxes, str) else json.dumps(boxes))
        settings.update(bbox_file=str(found), test_mode=True)
    return DATASETS.build(settings)


# Anything that JSON as Python reads and writes it can hold.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.integers(-3, 3)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=5)
    | st.sampled_from(['', ' ', '../a.jpg', '/etc/passwd', 'a\0b', 'ä.jpg', '人.png']),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=6,
)


@st.composite
def damaged(draw, make):
    """What ``make`` makes, with one or two values replaced, missing or repeated."""
    content = make()
    for _ in range(draw(st.integers(1, 2))):
        holder = content
        for _ in range(4):
            keys = (
                list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            )
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            deeper = isinstance(holder[key], (dict, list)) and draw(st.integers(0, 3))
            if deeper:
                holder = holder[key]
                continue
            kind = draw(st.sampled_from(['replace', 'replace', 'remove', 'repeat']))
            if kind == 'remove':
                del holder[key]
            elif kind == 'repeat' and isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            else:
                holder[key] = draw(VALUES)
            break
    return content


def check(load, path, records, caplog_text):
    """Loaded whole, loaded with a count of what is left out, or refused by name."""
    try:
        dataset = load()
    except ValueError as error:
        message = str(error)
        assert str(path) in message, message
        said = re.search(
            r'(image|annotation|category|result) -?\d+|two \w+ records have the id'
            r'|must hold COCO annotations|must be a list|has no categories'
            r'|0 of \d+ people are used: there is nobody to (train|test) on',
            message,
        )
        assert said, message
        return 'refused'
    for person in dataset:
        assert all(map(math.isfinite, person['bbox'].ravel()))
        assert (person['bbox'][0, 2:] > person['bbox'][0, :2]).all()
        assert person['keypoints'].shape == (1, 17, 2)
        assert all(map(math.isfinite, person['keypoints'].ravel()))
        root = Path(dataset.data_root)
        assert root in Path(person['img_path']).resolve().parents
    if len(dataset) == len(records()):
        return 'whole'
    assert f'{len(dataset)} of {len(records())} people are used' in caplog_text()
    return 'in part'


class Lines(logging.Handler):
    """Keeps the messages of a logger."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def text(self):
        return '\n'.join(self.lines[-2:])


@pytest.fixture
def log():
    """What was logged last, to be asked."""
    logger = MMLogger.get_instance('damage', logger_name='damage')
    handler = Lines()
    logger.addHandler(handler)
    yield handler.text
    logger.removeHandler(handler)


FATES = dict(
    max_examples=1000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['annotations', 'detections'])
def test_a_thousand_kinds_of_damage(kind, tmp_path, log):
    fates = {}

    @settings(**FATES)
    @given(damaged(truth if kind == 'annotations' else detections))
    def damage(content):
        if kind == 'annotations':
            fate = check(
                lambda: load(tmp_path, content),
                tmp_path / 'ann.json',
                lambda: content['annotations'],
                log,
            )
        else:
            fate = check(
                lambda: load(tmp_path, truth(), content),
                tmp_path / 'det.json',
                lambda: content,
                log,
            )
        fates[fate] = fates.get(fate, 0) + 1

    damage()
    # not all are refused; test_who_is_left_out_is_counted has the third fate
    assert fates['refused'] > 100, fates
    assert fates['whole'] > 5, fates


def change(content, *path, value=None, remove=False):
    """A copy with one value replaced or removed."""
    content = copy.deepcopy(content)
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return content


PERSON = ('annotations', 1)


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        (
            (*PERSON, 'image_id'),
            77,
            'annotation 1 (id 11) is of image 77, which is not',
        ),
        ((*PERSON, 'id'), 10, 'two annotation records have the id 10'),
        ((*PERSON, 'id'), 10**30, 'annotation 1 (id 1000000000000000000000000000000)'),
        ((*PERSON, 'bbox'), [0, 0, math.nan, 5], 'bbox must be four finite numbers'),
        ((*PERSON, 'bbox'), [0, 0, 5], 'annotation 1 (id 11): bbox must be four'),
        ((*PERSON, 'area'), math.inf, 'annotation 1 (id 11): area must be a finite'),
        ((*PERSON, 'keypoints'), [1, 2], 'keypoints must be a list of three finite'),
        (
            (*PERSON, 'keypoints'),
            [1, 2, 2],
            'has 3 keypoint numbers, the data set wants',
        ),
        ((*PERSON, 'keypoints'), [], 'has 0 keypoint numbers, the data set wants'),
        ((*PERSON, 'keypoints', 4), '7', '(id 11): keypoints must be a list of three'),
        (('annotations',), {}, 'the annotation records must be a list'),
        ((*PERSON,), None, 'annotation 1 must be an object of JSON'),
        (('images', 0, 'file_name'), '', 'image 0 (id 1): file_name must be a path'),
        (('images', 0, 'file_name'), '../x.jpg', 'must be a path inside the folder'),
        (('images', 0, 'file_name'), '/etc/passwd', 'must be a path inside the folder'),
        (('images', 0, 'width'), -3, 'image 0 (id 1): width must be a positive number'),
        (('images', 0, 'height'), True, 'image 0 (id 1): height must be a positive'),
    ],
)
def test_the_record_that_is_wrong_is_named(path, value, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, change(truth(), *path, value=value))


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ((*PERSON, 'image_id'), 'annotation 1 (id 11) has no image_id'),
        ((*PERSON, 'category_id'), 'annotation 1 (id 11) has no category_id'),
        (('images', 0, 'file_name'), 'image 0 (id 1) has no file_name'),
        (('images', 1, 'width'), 'image 1 (id 2) has no width'),
        (('images',), 'must hold COCO annotations: images and annotations'),
    ],
)
def test_what_is_missing_is_named(path, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, change(truth(), *path, remove=True))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(image_id=77), 'result 1 is of image 77, which is not among the 2 images'),
        (dict(bbox=[0, 0, math.inf, 3]), 'result 1: bbox must be four finite numbers'),
        (dict(score='high'), 'result 1: score must be a finite number below 1e9, got'),
    ],
)
def test_the_detection_that_is_wrong_is_named(changes, message, tmp_path):
    boxes = detections()
    boxes[1].update(changes)
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, truth(), boxes)


def test_who_is_left_out_is_counted(tmp_path, log):
    content = truth()
    content['annotations'][0]['iscrowd'] = 1
    content['annotations'][1]['bbox'] = [5.0, 6.0, -50.0, 80.0]
    assert len(load(tmp_path, content)) == 1
    assert 'ann.json: 1 of 3 people are used; left out are crowds' in log()
    boxes = detections()
    boxes[0]['bbox'] = [5.0, 6.0, 0.0, 80.0]
    assert len(load(tmp_path, truth(), boxes)) == 1
    assert 'det.json: 1 of 2 people are used' in log()


def test_names_may_be_of_any_script(tmp_path):
    content = truth()
    for image, name in zip(content['images'], ('人/ä.jpg', ' b.jpg'), strict=True):
        image['file_name'] = name
    people = load(tmp_path, content)
    assert len(people) == 3
    assert people[0]['img_path'].endswith('人/ä.jpg')


def test_an_epoch_with_nobody_is_refused(tmp_path):
    content = truth()
    for person in content['annotations']:
        person['iscrowd'] = 1
    for changes, purpose in ((dict(), 'train'), (dict(test_mode=True), 'test')):
        message = rf'ann\.json: 0 of 3 people are used: there is nobody to {purpose} on'
        with pytest.raises(ValueError, match=message):
            load(tmp_path, content, **changes)
    with pytest.raises(ValueError, match=r'det\.json: 0 of 0 people are used'):
        load(tmp_path, truth(), [])


@pytest.mark.parametrize('share', [0.0, 0.3, 0.99])
def test_annotations_that_are_cut_off(share, tmp_path):
    text = json.dumps(truth())
    with pytest.raises(ValueError, match=r'ann\.json is not JSON'):
        load(tmp_path, text[: int(share * len(text))])
    with pytest.raises(ValueError, match=r'det\.json is not JSON'):
        load(tmp_path, truth(), '[{')
    with pytest.raises(ValueError, match=r'ann\.json is not JSON'):
        load(tmp_path, '[' * 100_000)


def test_a_file_that_is_not_there_is_named(tmp_path):
    load(tmp_path, truth())
    settings = dict(data_root='', data_prefix=dict(img=''), pipeline=[])
    settings = dict(CONFIG.val_dataloader.dataset, **settings)
    for ann, boxes, key in (
        ('no.json', None, 'ann_file'),
        (str(tmp_path / 'ann.json'), 'no.json', 'bbox_file'),
    ):
        with pytest.raises(FileNotFoundError, match=rf'dataset\.{key} no\.json does'):
            DATASETS.build(dict(settings, ann_file=ann, bbox_file=boxes))


@pytest.mark.parametrize('share', [0.0, 0.4, 0.98])
def test_an_image_that_is_cut_off_is_named(share, synthetic, tmp_path):
    whole = (synthetic / 'train' / '000001.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(whole[: int(share * len(whole))])
    (tmp_path / 'b.jpg').write_bytes(whole)
    dataset = dict(CONFIG.train_dataloader.dataset, data_root=str(tmp_path))
    (tmp_path / 'ann.json').write_text(json.dumps(truth()))
    dataset.update(ann_file='ann.json', data_prefix=dict(img=''))
    people = DATASETS.build(dataset)
    with pytest.raises(OSError, match=r'a\.jpg'):
        people[0]
    assert people[2]['inputs'].shape == (3, 128, 96)


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_named(share, tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.zeros(1000))), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(pickle.UnpicklingError, match=r'epoch_1\.pth was not loaded'):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


def test_results_of_pictures_may_have_names(tmp_path):
    path = tmp_path / 'det.json'
    path.write_text(json.dumps([dict(image_id='walk', score=0.5)]))
    assert read_results(path, {'score'})[0]['image_id'] == 'walk'
    path.write_text(json.dumps([dict(image_id=[1], score=0.5)]))
    with pytest.raises(ValueError, match='result 0: image_id must be an integer'):
        read_results(path, {'score'})
