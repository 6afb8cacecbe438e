# SPDX-License-Identifier: Apache-2.0
"""Many people in an image, and batches of one sample."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rmpe_plugin.datasets.synthetic import DIFFICULTIES, render_scene
from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms
from tests.conftest import ROOT
from tests.factories import cpn_samples

QUICKSTART = ROOT / 'configs' / 'quickstart'


@pytest.mark.parametrize('preset', ['rmpe-paper', 'rmpe-mpii', 'alphapose-coco'])
def test_pose_nms_of_three_thousand_poses(preset):
    """300 people far apart, each with ten duplicates."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(15)), axis=-1)
    people = 500.0 * grid.reshape(-1, 1, 2) + rng.uniform(0, 100, (300, 17, 2))
    poses = np.repeat(people, 10, axis=0) + rng.normal(0, 0.1, (3000, 17, 2))
    scores = rng.uniform(0.5, 1, (3000, 17))
    boxes = np.concatenate((poses.min(axis=1), poses.max(axis=1)), axis=1)
    result = parametric_pose_nms(poses, scores, boxes, PoseNMSParams.preset(preset))
    assert sorted(np.asarray(result.keep) // 10) == list(range(300))


def test_renders_a_thousand_people():
    crowd = replace(DIFFICULTIES['crowd'], num_people=(1000, 1000), height=(0.05, 0.1))
    image, people = render_scene(np.random.default_rng(0), (640, 480), crowd)
    assert image.shape == (480, 640, 3)
    assert 100 < len(people) <= 1000
    assert all(person.visible >= 0.1 and person.area >= 60 for person in people)


@pytest.mark.parametrize('name', ['cpn', 'sstn'])
def test_trains_on_a_batch_of_one_with_batch_norm(name):
    init_default_scope('mmpose')
    infix = '' if name == 'cpn' else '_sstn'
    config = Config.fromfile(QUICKSTART / f'td-hm_cpn-res18{infix}_synthetic-128x96.py')
    if name == 'sstn':
        config.model.stn.backbone.init_cfg = None
    net = MODELS.build(config.model)
    if name == 'sstn':
        net.init_parallel_sppe()
    (sample,) = batch = cpn_samples(1)
    (sample.centred,) = cpn_samples(1)
    losses = net.train()(torch.randn(1, 3, 128, 96), batch, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert torch.isfinite(total)
    for key, parameter in net.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
