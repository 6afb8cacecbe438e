# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from experiments.detect_photographs import PoseAccuracy, box_ap50, count_found
from rmpe_plugin.structures import read_annotations, read_person_boxes
from tests.conftest import DATA

ANN = DATA / 'coco_cc' / 'person_keypoints_cc.json'


@pytest.fixture(scope='module')
def annotations():
    return read_annotations(ANN)


@pytest.fixture(scope='module')
def accuracy(annotations):
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    return PoseAccuracy(annotations, meta)


def test_annotated_poses_are_found_and_correct(annotations, accuracy):
    people = read_person_boxes(ANN)
    poses = accuracy.match(people)
    assert poses.keys() == accuracy.people.keys()
    assert len(poses) == 25
    assert accuracy.pck(poses) == accuracy.pck_of_all(poses) == 1
    assert count_found(annotations, people) == len(people) == 85
    assert box_ap50(ANN, people) == pytest.approx(1)


def test_people_who_are_not_found_are_wrong_only_among_all(annotations, accuracy):
    found = read_person_boxes(ANN)[:20]
    poses = accuracy.match(found)
    assert 0 < len(poses) < 25
    assert count_found(annotations, found) == 20
    assert accuracy.pck(poses) == 1
    assert 0 < accuracy.pck_of_all(poses) < 1
    assert np.isnan(accuracy.pck({}))
    assert accuracy.pck_of_all({}) == 0
