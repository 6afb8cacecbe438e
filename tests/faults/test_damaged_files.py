# SPDX-License-Identifier: Apache-2.0
"""Files that are truncated, malformed, or have damaged records."""

import copy
import json
import logging
import math
import pickle
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import CheckpointLoader
from mmpose.datasets.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from rmpe_plugin.structures import read_results
from tests.conftest import ROOT

CONFIG = Config.fromfile(
    ROOT / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
)
KEYPOINTS = [12.5, 40.0, 2] * 17
NAMES = [*parse_pose_metainfo(CocoDataset.METAINFO)['keypoint_name2id']]


def make_annotations():
    """COCO annotations of two images with three valid people."""
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
    category = dict(id=1, name='person', keypoints=NAMES.copy(), skeleton=[])
    return dict(images=images, annotations=people, categories=[category])


def make_detections():
    """A COCO result for each of two images."""
    box = [5.0, 6.0, 50.0, 80.0]
    return [dict(image_id=i, category_id=1, bbox=box, score=0.5) for i in (1, 2)]


def load(folder, ann, boxes=None, **changes):
    """Build the training data set of annotations, or the test data set of boxes."""
    path = folder / 'ann.json'
    path.write_text(ann if isinstance(ann, str) else json.dumps(ann))
    settings = dict(CONFIG.train_dataloader.dataset, pipeline=[], **changes)
    settings.update(
        data_root=str(folder), ann_file='ann.json', data_prefix=dict(img='')
    )
    if boxes is not None:
        bbox_file = folder / 'det.json'
        bbox_file.write_text(boxes if isinstance(boxes, str) else json.dumps(boxes))
        settings.update(bbox_file=str(bbox_file), test_mode=True)
    return DATASETS.build(settings)


# Any value that Python's json module can read and write.
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
    """The result of ``make`` with one or two values replaced, removed or repeated."""
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


def classify(load, path, records, last_log):
    """Load a data set and check the error message, or the people and the log.

    Returns:
        str: ``'error'``, ``'complete'`` or ``'filtered'``.
    """
    try:
        dataset = load()
    except ValueError as error:
        message = str(error)
        assert str(path) in message, message
        named = re.search(
            r'(image|annotation|category|result) -?\d+|two \w+ records have the id'
            r'|must hold COCO annotations|must be a list|has no categories'
            r'|0 of \d+ people are used; at least one is needed to (train|test)',
            message,
        )
        assert named, message
        return 'error'
    for person in dataset:
        assert all(map(math.isfinite, person['bbox'].ravel()))
        assert (person['bbox'][0, 2:] > person['bbox'][0, :2]).all()
        assert person['keypoints'].shape == (1, 17, 2)
        assert all(map(math.isfinite, person['keypoints'].ravel()))
        root = Path(dataset.data_root)
        assert root in Path(person['img_path']).resolve().parents
    if len(dataset) == len(records()):
        return 'complete'
    assert f'{len(dataset)} of {len(records())} people are used' in last_log()
    return 'filtered'


class MessageRecorder(logging.Handler):
    """Record the messages of a logger."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())

    def last(self):
        return '\n'.join(self.messages[-2:])


@pytest.fixture
def last_log():
    """Function that returns the last log messages."""
    logger = MMLogger.get_instance('damage', logger_name='damage')
    handler = MessageRecorder()
    logger.addHandler(handler)
    yield handler.last
    logger.removeHandler(handler)


HYPOTHESIS = dict(
    max_examples=1000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['annotations', 'detections'])
def test_random_damage_raises_or_is_filtered(kind, tmp_path, last_log):
    counts = Counter()

    @settings(**HYPOTHESIS)
    @given(damaged(make_annotations if kind == 'annotations' else make_detections))
    def damage(content):
        if kind == 'annotations':
            result = classify(
                lambda: load(tmp_path, content),
                tmp_path / 'ann.json',
                lambda: content['annotations'],
                last_log,
            )
        else:
            result = classify(
                lambda: load(tmp_path, make_annotations(), content),
                tmp_path / 'det.json',
                lambda: content,
                last_log,
            )
        counts[result] += 1

    damage()
    # Filtered people are rare here; test_dropped_people_are_logged has them.
    assert counts['error'] > 100, counts
    assert counts['complete'] > 5, counts


def change(content, *path, value=None, remove=False):
    """Copy of the content with one value replaced or removed."""
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
        ((*PERSON, 'keypoints'), [1, 2], 'keypoints must be a list of x, y (finite'),
        (
            (*PERSON, 'keypoints'),
            [1, 2, 2],
            'has 3 keypoint numbers, expected 3 x 17',
        ),
        ((*PERSON, 'keypoints', 4), '7', '(id 11): keypoints must be a list of x, y'),
        ((*PERSON, 'keypoints', 2), -1, 'visibility (0, 1 or 2) for each keypoint'),
        ((*PERSON, 'keypoints', 2), 3, 'visibility (0, 1 or 2) for each keypoint'),
        ((*PERSON, 'keypoints', 2), 0.5, 'visibility (0, 1 or 2) for each keypoint'),
        (('annotations',), {}, 'the annotation records must be a list'),
        ((*PERSON,), None, 'annotation 1 must be a JSON object'),
        (('images', 0, 'file_name'), '', 'image 0 (id 1): file_name must be a path'),
        (('images', 0, 'file_name'), '../x.jpg', 'must be a path inside the folder'),
        (('images', 0, 'file_name'), '/etc/passwd', 'must be a path inside the folder'),
        (('images', 0, 'width'), -3, 'image 0 (id 1): width must be a positive number'),
        (('images', 0, 'height'), True, 'image 0 (id 1): height must be a positive'),
    ],
)
def test_error_names_the_invalid_record(path, value, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, change(make_annotations(), *path, value=value))


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
def test_error_names_the_missing_key(path, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, change(make_annotations(), *path, remove=True))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(image_id=77), 'result 1 is of image 77, which is not among the 2 images'),
        (dict(bbox=[0, 0, math.inf, 3]), 'result 1: bbox must be four finite numbers'),
        (dict(score='high'), 'result 1: score must be a finite number below 1e9, got'),
    ],
)
def test_error_names_the_invalid_detection(changes, message, tmp_path):
    boxes = make_detections()
    boxes[1].update(changes)
    with pytest.raises(ValueError, match=re.escape(message)):
        load(tmp_path, make_annotations(), boxes)


def test_dropped_people_are_logged(tmp_path, last_log):
    content = make_annotations()
    content['annotations'][0]['iscrowd'] = 1
    content['annotations'][1]['bbox'] = [5.0, 6.0, -50.0, 80.0]
    assert len(load(tmp_path, content)) == 1
    assert (
        'ann.json: 1 of 3 people are used; dropped are 1 of a crowd (annotation 10); '
        '1 with an empty box (annotation 11)'
    ) in last_log()
    boxes = make_detections()
    boxes[0]['bbox'] = [5.0, 6.0, 0.0, 80.0]
    assert len(load(tmp_path, make_annotations(), boxes)) == 1
    assert (
        'det.json: 1 of 2 people are used; dropped are 1 with an empty box (result of '
        'image 1)'
    ) in last_log()


def test_file_names_may_have_any_characters(tmp_path):
    content = make_annotations()
    for image, name in zip(content['images'], ('人/ä.jpg', ' b.jpg'), strict=True):
        image['file_name'] = name
    people = load(tmp_path, content)
    assert len(people) == 3
    assert people[0]['img_path'].endswith('人/ä.jpg')


def test_raises_if_no_person_is_left(tmp_path):
    content = make_annotations()
    for person in content['annotations']:
        person['iscrowd'] = 1
    for changes, purpose in ((dict(), 'train'), (dict(test_mode=True), 'test')):
        message = rf'ann\.json: 0 of 3 people are used; .* needed to {purpose}'
        with pytest.raises(ValueError, match=message):
            load(tmp_path, content, **changes)
    with pytest.raises(ValueError, match=r'det\.json: 0 of 0 people are used'):
        load(tmp_path, make_annotations(), [])


@pytest.mark.parametrize('share', [0.0, 0.3, 0.99])
def test_raises_on_truncated_json(share, tmp_path):
    text = json.dumps(make_annotations())
    with pytest.raises(ValueError, match=r'ann\.json is not JSON'):
        load(tmp_path, text[: int(share * len(text))])
    with pytest.raises(ValueError, match=r'det\.json is not JSON'):
        load(tmp_path, make_annotations(), '[{')
    with pytest.raises(ValueError, match=r'ann\.json is not JSON'):
        load(tmp_path, '[' * 100_000)


def test_error_names_the_missing_file_and_its_config_key(tmp_path):
    load(tmp_path, make_annotations())
    settings = dict(data_root='', data_prefix=dict(img=''), pipeline=[])
    settings = dict(CONFIG.val_dataloader.dataset, **settings)
    for ann, boxes, key in (
        ('no.json', None, 'ann_file'),
        (str(tmp_path / 'ann.json'), 'no.json', 'bbox_file'),
    ):
        with pytest.raises(FileNotFoundError, match=rf'dataset\.{key} no\.json does'):
            DATASETS.build(dict(settings, ann_file=ann, bbox_file=boxes))


@pytest.mark.parametrize('share', [0.0, 0.4, 0.98])
def test_error_names_the_truncated_image(share, synthetic, tmp_path):
    complete = (synthetic / 'train' / '000001.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(complete[: int(share * len(complete))])
    (tmp_path / 'b.jpg').write_bytes(complete)
    dataset = dict(CONFIG.train_dataloader.dataset, data_root=str(tmp_path))
    (tmp_path / 'ann.json').write_text(json.dumps(make_annotations()))
    dataset.update(ann_file='ann.json', data_prefix=dict(img=''))
    people = DATASETS.build(dataset)
    with pytest.raises(OSError, match=r'a\.jpg'):
        people[0]
    assert people[2]['inputs'].shape == (3, 128, 96)


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_error_names_the_truncated_checkpoint(share, tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.zeros(1000))), path)
    complete = path.read_bytes()
    path.write_bytes(complete[: int(share * len(complete))])
    with pytest.raises(pickle.UnpicklingError, match=r'epoch_1\.pth was not loaded'):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


def test_image_ids_of_results_may_be_names(tmp_path):
    path = tmp_path / 'det.json'
    path.write_text(json.dumps([dict(image_id='walk', score=0.5)]))
    assert read_results(path, {'score'})[0]['image_id'] == 'walk'
    path.write_text(json.dumps([dict(image_id=[1], score=0.5)]))
    with pytest.raises(ValueError, match='result 0: image_id must be an integer'):
        read_results(path, {'score'})
