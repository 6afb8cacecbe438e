# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest

from tests.conftest import ROOT, run_command

CONFIG = ROOT / 'configs' / 'quickstart' / 'td-hm_cpn-res18_synthetic-128x96.py'


@pytest.fixture(scope='module')
def files(synthetic):
    folder = synthetic / 'annotations'
    return (
        '--ann', folder / 'person_keypoints_train.json',
        '--det', folder / 'person_detections_train.json',
    )  # fmt: skip


def value_of(row, printed):
    (value,) = re.findall(rf'│ {row} +│ ([\d.]+)%? +│', printed)
    return float(value)


def test_prints_the_counts_and_the_quality(files):
    printed = run_command('boxes', CONFIG, *files).stdout
    people = json.loads(files[1].read_text())['annotations']
    numbers = re.findall(r'│ people +│[^│]+│ (\d+) +│', printed)
    assert sum(map(int, numbers)) == len(people)
    mean = value_of('IoU of crops with ground-truth windows, mean', printed)
    worst = value_of('IoU, the worst tenth is below', printed)
    assert 0.3 < worst < mean < 1
    box, crop = (
        value_of(f'labelled keypoints outside of the {name}', printed)
        for name in ('box', 'crop')
    )
    assert 0 <= crop < box < 50


def test_ground_truth_boxes_are_perfect(files, tmp_path):
    people = json.loads(files[1].read_text())['annotations']
    boxes = [
        dict(image_id=p['image_id'], category_id=1, bbox=p['bbox'], score=1.0)
        for p in people
    ]
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(boxes))
    printed = run_command('boxes', CONFIG, *files[:2], '--det', path).stdout
    assert value_of('IoU, the worst tenth is below', printed) == 1


def test_raises_on_a_missing_config(files):
    result = run_command('boxes', 'no.py', *files, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith('error: no.py does not exist')
