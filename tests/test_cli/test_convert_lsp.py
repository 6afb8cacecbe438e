# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from tests.conftest import run_command

NUMBER = 6
TOOL = 'convert lsp'


@pytest.fixture
def joints():
    """Joints (14, 3, N) as in joints.mat of LSP-Extended, in images of 100 x 80."""
    rng = np.random.default_rng(0)
    joints = np.ones((14, 3, NUMBER))
    joints[:, :2] = rng.uniform(10, 70, (14, 2, NUMBER))
    joints[:9, 2, 1] = 0  # too few
    joints[0, :, 2] = (-20, 5, 1)  # left of the image
    joints[1, :, 2] = (50, 80, 1)  # just below the image
    joints[2, :, 2] = (0, 0, 0)
    return joints


@pytest.fixture
def folder(tmp_path, joints):
    images = tmp_path / 'lspet' / 'images'
    images.mkdir(parents=True)
    for i in range(NUMBER):
        image = np.full((80, 100, 3), i, np.uint8)
        cv2.imwrite(str(images / f'im{i + 1:05}.jpg'), image)
    savemat(images.parent / 'joints.mat', dict(joints=joints))
    return images.parent


def convert(folder, *args):
    result = run_command(
        TOOL, folder, '--out', folder / 'annotations', *args, check=False
    )
    splits = [folder / f'annotations/lsp_{split}.json' for split in ('train', 'val')]
    datasets = [json.loads(p.read_text()) if p.exists() else None for p in splits]
    return result, *datasets


def test_converts_and_counts(folder, joints):
    result, train, val = convert(folder, '--num-val', 2)
    assert result.returncode == 0, result.stderr
    assert 'dropped: 1 people with fewer than 6 labelled joints' in result.stdout
    assert (len(train['images']), len(val['images'])) == (3, 2)
    ids = sorted(a['id'] for d in (train, val) for a in d['annotations'])
    assert ids == [1, 3, 4, 5, 6]
    assert train['categories'][0]['keypoints'][:2] == ['right_ankle', 'right_knee']

    people = {a['id']: a for d in (train, val) for a in d['annotations']}
    files = {i['id']: i for d in (train, val) for i in d['images']}
    assert files[3] == dict(id=3, file_name='im00003.jpg', width=100, height=80)
    keypoints = np.reshape(people[3]['keypoints'], (14, 3))
    assert keypoints[:3].tolist() == [[0, 0, 0]] * 3
    expected = np.column_stack((joints[3:, :2, 2], [2] * 11))
    np.testing.assert_allclose(keypoints[3:], expected, atol=0.006)
    assert people[3]['num_keypoints'] == 11

    xy = joints[:, :2, 0]
    margin = 0.05 * np.ptp(xy, axis=0).max()
    low, size = xy.min(axis=0) - margin, np.ptp(xy, axis=0) + 2 * margin
    np.testing.assert_allclose(people[1]['bbox'], [*low, *size])


def test_split_depends_on_the_seed_only(folder):
    def people_held_out(seed):
        _, _, val = convert(folder, '--num-val', 2, '--seed', seed)
        return [a['id'] for a in val['annotations']]

    assert people_held_out(1) == people_held_out(1)
    assert len({tuple(people_held_out(seed)) for seed in range(4)}) > 1


def test_lsp_has_another_layout_and_a_flag_for_occlusion(folder, joints):
    joints[:, 2] = 0
    joints[3, 2, 0] = 1
    savemat(folder / 'joints.mat', dict(joints=joints.transpose(1, 0, 2)))
    result, train, val = convert(folder, '--num-val', 0)
    assert result.returncode == 0, result.stderr
    assert val['annotations'] == []
    labelled = [a['num_keypoints'] for a in train['annotations']]
    # The joint at (0, 0) is inside.
    assert labelled == [14, 14, 12, 14, 14, 14]
    assert train['annotations'][0]['keypoints'][2::3] == [2] * 3 + [1] + [2] * 10


def test_box_stays_within_the_image(folder, joints):
    joints[0, :, 0] = (0, 79.9, 1)
    savemat(folder / 'joints.mat', dict(joints=joints))
    _, train, val = convert(folder, '--num-val', 1)
    people = {a['id']: a for d in (train, val) for a in d['annotations']}
    x, y, _, height = people[1]['bbox']
    assert x == 0
    assert y + height == 80


@pytest.mark.parametrize(
    ('damage', 'args', 'message'),
    [
        (lambda f: savemat(f / 'joints.mat', dict(joints=np.zeros((16, 3, 6)))), (),
         'must be (14, 3, N), as in LSP-Extended, or (3, 14, N), as in LSP, got (16'),
        (lambda f: savemat(f / 'joints.mat', dict(x=1)), (), 'has no variable joints'),
        (lambda f: (f / 'joints.mat').write_text('text'), (), 'is not a MATLAB file'),
        (lambda f: (f / 'joints.mat').unlink(), (), 'joints.mat'),
        (lambda f: (f / 'images/im00004.jpg').unlink(), (),
         'for each of the 6 people of joints.mat, got 5 images'),
        (lambda f: (f / 'images/im00004.jpg').write_text('text'), (),
         'im00004.jpg is not an image'),
        (lambda f: None, ('--min-joints', 1), '--min-joints: must be at least 2'),
        (lambda f: None, ('--num-val', 9), '--num-val must be 0 to 5'),
    ],
)  # fmt: skip
def test_errors(folder, damage, args, message):
    damage(folder)
    result, train, _ = convert(folder, *args)
    assert result.returncode == 2
    assert message in result.stderr.replace('\n', ' ')
    assert 'Traceback' not in result.stderr
    assert train is None
