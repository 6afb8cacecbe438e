# SPDX-License-Identifier: Apache-2.0
"""Train, test, resume and draw with the scripts."""

import json
import re

import cv2
import pytest

from tests.conftest import ROOT, run_command, run_experiment

CONFIG = ROOT / 'configs' / 'quickstart' / 'td-hm_cpn-res18_synthetic-128x96.py'


def options(root):
    """Config overrides for a small data set, with the same seed for each run."""
    folder = f'{root}/'
    settings = (
        f'dataset.data_root={folder}',
        'num_workers=0',
        'batch_size=4',
        'persistent_workers=False',
    )
    loaders = [
        f'{loader}_dataloader.{setting}'
        for loader in ('train', 'val', 'test')
        for setting in settings
    ]
    ann_file = f'{folder}annotations/person_keypoints_val.json'
    return [
        '--cfg-options',
        *loaders,
        f'val_evaluator.ann_file={ann_file}',
        f'test_evaluator.ann_file={ann_file}',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1',
        'randomness.deterministic=True',
    ]


def read_losses(work):
    """The last logged loss of each training step."""
    losses = {}
    for path in sorted(work.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' in record:
                losses[record['step']] = record['loss']
    return losses


@pytest.fixture(scope='module')
def trained(synthetic, tmp_path_factory):
    work = tmp_path_factory.mktemp('work')
    run_command('train', CONFIG, '--work-dir', work, *options(synthetic))
    return work


def test_train_writes_checkpoints_and_ap(trained):
    assert (trained / 'epoch_3.pth').is_file()
    log = next(trained.glob('*/*.log')).read_text()
    # The quickstart validates once, after the last epoch.
    assert len(re.findall(r'coco/AP: \d', log)) == 1
    assert {'loss_global', 'loss_refine', 'acc_pose'} <= set(re.findall(r'\w+', log))


def test_test_writes_results_and_images(trained, synthetic, tmp_path):
    checkpoint = trained / 'epoch_3.pth'
    arguments = options(synthetic) + [
        f'test_evaluator.outfile_prefix={tmp_path}/val',
        'custom_hooks.0.type=StageVisualizationHook',
        'custom_hooks.0.num=2',
    ]
    result = run_command('test', CONFIG, checkpoint, '--work-dir', tmp_path, *arguments)
    assert 'coco/AP' in result.stdout + result.stderr
    (sheet,) = tmp_path.glob('*/vis_data/vis_image/stages_test_0_*.png')
    # Three images of each of two crops of 96x128, enlarged twice, with borders.
    assert cv2.imread(str(sheet)).shape == (24 + 2 * 320, 3 * 240, 3)
    poses = json.loads((tmp_path / 'val.keypoints.json').read_text())
    ann_file = synthetic / 'annotations' / 'person_keypoints_val.json'
    assert len(poses) == len(json.loads(ann_file.read_text())['annotations'])

    result = run_experiment(
        'draw_poses',
        *('--ann', ann_file, '--images', synthetic / 'val', '--num', 2),
        *('--pred', tmp_path / 'val.keypoints.json', '--out', tmp_path / 'drawn'),
    )
    drawn = sorted((tmp_path / 'drawn').glob('*.png'))
    assert len(drawn) == 2
    assert all(str(path) in result.stdout for path in drawn)


def test_resume_continues_after_the_checkpoint(trained, synthetic, tmp_path):
    result = run_command(
        'train',
        *(CONFIG, '--work-dir', tmp_path, '--resume', trained / 'epoch_2.pth'),
        *options(synthetic),
    )
    complete, resumed = read_losses(trained), read_losses(tmp_path)
    assert 'resumed epoch: 2' in result.stdout + result.stderr
    assert resumed
    assert set(resumed) == {s for s in complete if s > max(complete) * 2 // 3}


def test_errors_name_the_wrong_argument(tmp_path):
    result = run_command('train', tmp_path / 'no.py', check=False)
    assert result.returncode
    assert 'no.py' in result.stderr
    result = run_experiment(
        'draw_poses',
        *('--ann', tmp_path / 'no.json', '--pred', 'x', '--images', 'x', '--out', 'x'),
        check=False,
    )
    assert result.returncode == 2
    assert 'no.json does not exist' in result.stderr
    paths = ('--ann', CONFIG, '--pred', CONFIG, '--images', tmp_path, '--out', tmp_path)
    result = run_experiment('draw_poses', *paths, '--pose-nms', 'coco', check=False)
    assert result.returncode == 2
    assert "pose_nms must be 'rmpe-paper'" in result.stderr
    result = run_command(
        'synthesize images', tmp_path, '--difficulty', 'hard', check=False
    )
    assert result.returncode == 2
    assert "'easy', 'groups', 'crowd'" in result.stderr
