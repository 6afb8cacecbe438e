# SPDX-License-Identifier: Apache-2.0
import json
import sys

import cv2
import numpy as np
import pytest
import torch

from experiments import label_photographs
from experiments.label_photographs import COCO, LSP, cut_person, merge, teach

NOSE, LEFT_WRIST = (COCO['keypoint_name2id'][n] for n in ('nose', 'left_wrist'))


class Spots:
    """A teacher that finds a white spot, which is the nose and all other keypoints.

    In a mirrored view it is ``shift`` pixels of its input away.
    """

    def __init__(self, shift=0.0, score=0.9):
        self.shift, self.score = shift, score

    def __call__(self, images):
        spots = []
        for image, shift in zip(images, (0.0, self.shift), strict=True):
            weight = image.mean(0).double() + 1
            y, x = (torch.arange(n) + 0.5 for n in weight.shape)
            point = [(weight.sum(0) * x).sum() + shift * weight.sum()]
            point.append((weight.sum(1) * y).sum())
            spots.append(torch.stack(point) / weight.sum())
        spots = torch.stack(spots)[:, None].expand(-1, 17, -1)
        return spots.float(), torch.full((2, 17), self.score)


def spot_image(x, y, height=400, width=300):
    image = np.zeros((height, width, 3), np.uint8)
    cv2.circle(image, (x, y), 4, (255, 255, 255), -1)
    return image


@pytest.mark.parametrize('box', [(50, 60, 100, 200), (0, 0, 300, 400), (280, 5, 9, 20)])
def test_cut_keeps_places(box):
    box = np.array(box, float)
    x, y = (box[:2] + box[2:] / 2).astype(int)
    keypoints = np.zeros((14, 3))
    keypoints[3] = x + 0.5, y + 0.5, 2
    cut, new_box, moved = cut_person(spot_image(x, y), box, keypoints)
    assert new_box[2:].max() <= label_photographs.LENGTH + 1
    rows, columns = np.nonzero(cut[..., 0] > 127)
    np.testing.assert_allclose(
        moved[3], (columns.mean() + 0.5, rows.mean() + 0.5, 2), atol=0.4
    )
    assert (np.delete(moved, 3, axis=0) == 0).all()
    # The place in the box is the same.
    np.testing.assert_allclose(
        (moved[3, :2] - new_box[:2]) / new_box[2:],
        (keypoints[3, :2] - box[:2]) / box[2:],
        atol=1e-6,
    )


def test_teacher_labels_in_pixels_of_the_picture():
    box = np.array([80.0, 100, 120, 240])
    labels = teach(Spots(), spot_image(130, 180), box)
    np.testing.assert_allclose(labels[:, :2], [[130.5, 180.5]] * 17, atol=0.2)
    assert (labels[:, 2] == 2).all()


@pytest.mark.parametrize(
    'teacher', [Spots(shift=20), Spots(score=0.2)], ids=['views differ', 'low score']
)
def test_unsure_keypoints_have_no_label(teacher):
    box = np.array([80.0, 100, 120, 240])
    assert (teach(teacher, spot_image(130, 180), box) == 0).all()


@pytest.mark.parametrize(('x', 'labelled'), [(100, False), (200, True)])
def test_keypoints_outside_the_picture_have_no_label(x, labelled):
    def teacher(images):
        points = torch.tensor([[x, 128.0], [256 - x, 128]])
        return points[:, None].expand(-1, 17, -1).clone(), torch.ones(2, 17)

    # 1 pixel of the input is 1 of the picture; x = 128 is at its left side.
    box = np.array([-102.4, 100, 204.8, 20])
    labels = teach(teacher, np.zeros((400, 300, 3), np.uint8), box)
    assert (labels[:, 2] == 2 * labelled).all()
    assert labels[0, 0] == (pytest.approx(72) if labelled else 0)


def test_merges_labels():
    box = np.array([0.0, 0, 100, 200])
    taught, joints = np.zeros((17, 3)), np.zeros((14, 3))
    taught[NOSE] = 1, 2, 2
    names = LSP['keypoint_name2id']
    for name, ours, theirs in (
        ('left_wrist', (50, 50, 2), (60, 50, 2)),  # near: the mean
        ('left_ankle', (10, 10, 2), (10, 90, 2)),  # far: LSP's
        ('left_knee', (30, 30, 2), (0, 0, 0)),  # not labelled in LSP
        ('right_hip', (0, 0, 0), (70, 70, 2)),  # the teacher is not sure
    ):
        taught[COCO['keypoint_name2id'][name]] = ours
        joints[names[name]] = theirs
    joints[names['neck']] = 5, 5, 2
    merged = merge(taught, joints, box)
    expected = {
        'nose': (1, 2, 2),
        'left_wrist': (55, 50, 2),
        'left_ankle': (10, 90, 2),
        'left_knee': (30, 30, 2),
        'right_hip': (70, 70, 2),
    }
    for name, index in COCO['keypoint_name2id'].items():
        np.testing.assert_array_equal(merged[index], expected.get(name, (0, 0, 0)))


def test_writes_training_data(tmp_path, monkeypatch):
    source, out = tmp_path / 'lsp', tmp_path / 'photo'
    (source / 'images').mkdir(parents=True)
    (source / 'annotations').mkdir()
    for i, split in enumerate(('train', 'val'), start=1):
        cv2.imwrite(str(source / f'images/im{i}.jpg'), spot_image(130, 180))
        joints = np.zeros((14, 3), int)
        joints[LSP['keypoint_name2id']['left_wrist']] = 140, 150, 2
        person = dict(id=i, image_id=i, bbox=[80, 100, 120, 240])
        person['keypoints'] = joints.ravel().tolist()
        images = [dict(id=i, file_name=f'im{i}.jpg')]
        content = dict(images=images, annotations=[person])
        (source / f'annotations/lsp_{split}.json').write_text(json.dumps(content))
    (tmp_path / 'movenet.json').write_text('{}')
    monkeypatch.setattr(label_photographs, 'read_weights', lambda file: None)
    monkeypatch.setattr(label_photographs, 'MoveNet', lambda weights: Spots())
    arguments = ['label_photographs', source, out, '--teacher']
    arguments.append(tmp_path / 'movenet.json')
    monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
    label_photographs.main()
    for split, number in (('train', 17), ('val', 1)):
        data = json.loads((out / f'{split}.json').read_text())
        (image,), (person,) = data['images'], data['annotations']
        height, width = cv2.imread(str(out / image['file_name'])).shape[:2]
        assert (image['height'], image['width']) == (height, width)
        assert person['num_keypoints'] == number
        assert data['categories'][0]['keypoints'][LEFT_WRIST] == 'left_wrist'
        assert len(person['keypoints']) == 51
