# SPDX-License-Identifier: Apache-2.0
"""A CPN learns four real photographs by heart."""

import json

import cv2
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests.conftest import ROOT, run_tool

CONFIG = (
    ROOT / 'configs' / 'cpn' / 'coco' / 'td-hm_cpn-res18_8xb32-160e_coco-256x192.py'
)
STEPS = 300


def build_config(data, work):
    """The light COCO config, narrower, on the photographs alone and not augmented."""
    config = Config.fromfile(CONFIG)
    config.work_dir = str(work)
    config.model.backbone.update(base_channels=24, stem_channels=24, init_cfg=None)
    config.model.head.update(in_channels=[24, 48, 96, 192], feat_channels=48)
    config.model.test_cfg.flip_test = False

    places = dict(data_root=f'{data}/', data_prefix=dict(img=''))
    truths = dict(places, ann_file='person_keypoints_mini.json', bbox_file=None)
    fixed = ('RandomFlip', 'RandomBBoxTransform')
    people = config.train_dataloader.dataset
    people.update(truths)
    people.pipeline = [t for t in people.pipeline if t.type not in fixed]
    config.train_dataloader.batch_size = 12
    config.train_dataloader.dataset = dict(
        type='RepeatDataset', times=STEPS, dataset=people
    )
    for split in ('val', 'test'):
        config[f'{split}_dataloader'].dataset.update(truths)
        evaluator = config[f'{split}_evaluator']
        evaluator.ann_file = str(data / 'person_keypoints_mini.json')
    for loader in ('train', 'val', 'test'):
        config[f'{loader}_dataloader'].update(num_workers=0, persistent_workers=False)

    config.randomness = dict(seed=0)
    config.train_cfg.update(max_epochs=1, val_interval=2)
    config.optim_wrapper.optimizer.lr = 2e-3
    config.param_scheduler = [
        dict(type='CosineAnnealingLR', T_max=STEPS, eta_min=1e-5, by_epoch=False)
    ]
    return config


def halves(picture):
    middle = picture.shape[1] // 2
    return picture[:, :middle], picture[:, middle:]


@pytest.mark.slow
def test_overfits_four_photographs(coco_mini, tmp_path):
    config = build_config(coco_mini, tmp_path)
    runner = Runner.from_cfg(config)
    runner.train()
    with_true_boxes = runner.test()
    assert with_true_boxes['coco/AP'] >= 0.90

    boxes = coco_mini / 'person_detections_mini.json'
    config.test_dataloader.dataset.bbox_file = str(boxes)
    config.load_from = str(tmp_path / 'epoch_1.pth')
    config.experiment_name = 'detector-boxes'
    config.test_evaluator.outfile_prefix = str(tmp_path / 'before')
    with_detector_boxes = Runner.from_cfg(config).test()
    # 118 boxes for 12 people: doubles and ghosts cost precision
    assert 0.3 < with_detector_boxes['coco/AP'] <= 1

    config.experiment_name = 'pose-nms'
    config.test_evaluator.update(
        type='PoseNMSCocoMetric',
        pose_nms=dict(preset='rmpe-paper'),
        outfile_prefix=str(tmp_path / 'after'),
    )
    with_pose_nms = Runner.from_cfg(config).test()
    before, after = (
        json.loads((tmp_path / f'{name}.keypoints.json').read_text())
        for name in ('before', 'after')
    )
    assert len(before) == 118
    assert 12 <= len(after) < 0.8 * len(before)
    # Doubles score low, so AP hardly notices them; it would notice lost people.
    assert with_pose_nms['coco/AP'] > with_detector_boxes['coco/AP'] - 0.02

    pictures = tmp_path / 'pictures'
    run_tool(
        'draw_poses.py',
        *('--ann', coco_mini / 'person_keypoints_mini.json', '--images', coco_mini),
        *('--pred', tmp_path / 'before.keypoints.json', '--out', pictures),
        *('--pose-nms', 'rmpe-paper', '--score-thr', 0, '--kpt-thr', 0),
    )
    for path in sorted(pictures.glob('*.png')):
        # before on the left, after on the right
        left, right = (half.astype(int) for half in halves(cv2.imread(str(path))))
        assert (left != right).any()
    assert len(sorted(pictures.glob('*.png'))) == 4
