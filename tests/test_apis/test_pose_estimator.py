# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.config import Config

from rmpe_plugin.apis import load_pose_estimator


@pytest.fixture
def config(cpn):
    return Config.fromfile(cpn[0])


def save(content, folder, **changes):
    path = folder / 'changed.pth'
    torch.save(dict(content, **changes), path)
    return path


def test_takes_the_keypoints_from_the_config_if_the_checkpoint_has_none(config, cpn):
    assert 'dataset_meta' not in torch.load(cpn[1])['meta']
    model = load_pose_estimator(config, cpn[1], 'cpu')
    assert not model.training
    assert model.dataset_meta['num_keypoints'] == 17
    saved = torch.load(cpn[1])['state_dict']
    assert all(torch.equal(v, saved[k]) for k, v in model.state_dict().items())


def test_takes_the_keypoints_from_the_checkpoint(config, cpn, coco_meta, tmp_path):
    meta = dict(dataset_meta=dict(coco_meta, dataset_name='dancers'))
    path = save(torch.load(cpn[1]), tmp_path, meta=meta)
    model = load_pose_estimator(config, path, 'cpu')
    assert model.dataset_meta['dataset_name'] == 'dancers'


def test_raises_on_the_checkpoint_of_a_detector(config, detector_files):
    message = r'detector.pth does not fit the model: it lacks \d+ of'
    with pytest.raises(ValueError, match=message):
        load_pose_estimator(config, detector_files[1], 'cpu')


def test_raises_on_a_checkpoint_without_a_part(config, cpn, tmp_path):
    content = torch.load(cpn[1])
    state = {k: v for k, v in content['state_dict'].items() if 'refine_net' not in k}
    path = save(content, tmp_path, state_dict=state)
    with pytest.raises(ValueError, match='lacks .* head.refine_net.cascade.1'):
        load_pose_estimator(config, path, 'cpu')


def test_raises_if_nothing_describes_the_keypoints(config, cpn, tmp_path):
    meta = dict(dataset_meta=dict(classes=('person',)))
    path = save(torch.load(cpn[1]), tmp_path, meta=meta)
    message = 'changed.pth .*flip_indices, skeleton_links missing, got classes'
    with pytest.raises(ValueError, match=message):
        load_pose_estimator(config, path, 'cpu')
    config.pop('train_dataloader')
    with pytest.raises(ValueError, match='missing, got no entries'):
        load_pose_estimator(config, cpn[1], 'cpu')


def test_raises_on_another_number_of_keypoints(config, cpn, coco_meta, tmp_path):
    meta = dict(dataset_meta=dict(coco_meta, num_keypoints=16))
    path = save(torch.load(cpn[1]), tmp_path, meta=meta)
    with pytest.raises(ValueError, match='predicts 17 key.* describes 16 of coco'):
        load_pose_estimator(config, path, 'cpu')
