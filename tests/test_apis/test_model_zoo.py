# SPDX-License-Identifier: Apache-2.0
"""The trained models that are in the package."""

import hashlib

import mmengine
import numpy as np
import pytest

from rmpe_plugin.apis import RMPEInferencer, find_model
from rmpe_plugin.structures import read_annotations
from tests.conftest import ROOT

PUBLISHED = [
    model
    for metafile in mmengine.load(ROOT / 'model-index.yml')['Import']
    for model in mmengine.load(ROOT / metafile)['Models']
    if 'Weights' in model
]


@pytest.mark.parametrize('model', PUBLISHED, ids=lambda model: model['Alias'])
def test_weights_have_the_checksum_and_size_of_the_metafile(model):
    path = ROOT / model['Weights'].removeprefix('package://')
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == model['SHA256']
    assert len(content) < 12e6
    assert model['Results'][0]['Metrics']
    assert find_model(model['Alias']).config == ROOT / model['Config']


def test_unknown_alias():
    with pytest.raises(ValueError, match="no trained model has the alias 'x'.*photo"):
        find_model('x')


# A man who leans on a post, a tennis player, and a standing man.
@pytest.mark.parametrize('image_id', [234748, 174375, 442450])
def test_photo_model_finds_the_joints_of_upright_people(coco_cc, image_id):
    dataset = read_annotations(coco_cc / 'person_keypoints_cc.json')
    person = max(
        (
            a
            for a in dataset['annotations']
            if a['image_id'] == image_id and a['num_keypoints'] >= 8
        ),
        key=lambda a: a['area'],
    )
    x, y, w, h = person['bbox']
    inferencer = RMPEInferencer('photo', device='cpu')
    picture = coco_cc / f'{image_id:012}.jpg'
    ((_, poses),) = inferencer(picture, [[[x, y, x + w, y + h]]])

    names = [*inferencer.dataset_meta['keypoint_id2name'].values()]
    coco = dataset['categories'][0]['keypoints']
    shared = [name for name in names if name in coco]
    assert len(shared) == 12
    pose = poses.pred_instances.keypoints[0][[names.index(n) for n in shared]]
    gt = np.reshape(person['keypoints'], (17, 3))[[coco.index(n) for n in shared]]
    labelled = gt[:, 2] > 0
    distance = np.linalg.norm(pose - gt[:, :2], axis=1)[labelled]
    assert np.mean(distance < 0.1 * h) > 0.7
