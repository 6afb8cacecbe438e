# SPDX-License-Identifier: Apache-2.0
"""Train, test, resume and draw through the scripts, as a user does."""

import json
import re

import cv2
import pytest

from tests.conftest import ROOT, run_tool

CONFIG = ROOT / 'configs' / 'quickstart' / 'td-hm_cpn-res18_synthetic-128x96.py'


def options(root):
    """Overrides for a data set of a few images; every run sees the same seed."""
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
    truths = f'{folder}annotations/person_keypoints_val.json'
    return [
        '--cfg-options',
        *loaders,
        f'val_evaluator.ann_file={truths}',
        f'test_evaluator.ann_file={truths}',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=1',
        'randomness.deterministic=True',
    ]


def losses(work):
    """Loss of every logged training step."""
    found = {}
    for path in sorted(work.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'loss' in record:
                found[record['step']] = record['loss']
    return found


@pytest.fixture(scope='module')
def trained(synthetic, tmp_path_factory):
    work = tmp_path_factory.mktemp('work')
    run_tool('train.py', CONFIG, '--work-dir', work, *options(synthetic))
    return work


@pytest.mark.slow
def test_train_writes_checkpoints_and_ap(trained):
    assert (trained / 'epoch_3.pth').is_file()
    log = next(trained.glob('*/*.log')).read_text()
    assert len(re.findall(r'coco/AP: \d', log)) == 3
    assert {'loss_global', 'loss_refine', 'acc_pose'} <= set(re.findall(r'\w+', log))


@pytest.mark.slow
def test_tests_and_draws(trained, synthetic, tmp_path):
    checkpoint = trained / 'epoch_3.pth'
    arguments = options(synthetic) + [
        f'test_evaluator.outfile_prefix={tmp_path}/val',
        'custom_hooks.0.type=StageVisualizationHook',
        'custom_hooks.0.num=2',
    ]
    result = run_tool('test.py', CONFIG, checkpoint, '--work-dir', tmp_path, *arguments)
    assert 'coco/AP' in result.stdout + result.stderr
    (sheet,) = tmp_path.glob('*/vis_data/vis_image/stages_test_0_*.png')
    # three pictures each of two crops of 96x128, twice as large, in their frames
    assert cv2.imread(str(sheet)).shape == (24 + 2 * 320, 3 * 240, 3)
    poses = json.loads((tmp_path / 'val.keypoints.json').read_text())
    truths = synthetic / 'annotations' / 'person_keypoints_val.json'
    assert len(poses) == len(json.loads(truths.read_text())['annotations'])

    result = run_tool(
        'draw_poses.py',
        *('--ann', truths, '--images', synthetic / 'val', '--num', 2),
        *('--pred', tmp_path / 'val.keypoints.json', '--out', tmp_path / 'pictures'),
    )
    pictures = sorted((tmp_path / 'pictures').glob('*.png'))
    assert len(pictures) == 2
    printed = result.stdout.replace('\n', '')
    assert all(str(path) in printed for path in pictures)


@pytest.mark.slow
def test_resume_continues_training(trained, synthetic, tmp_path):
    first = run_tool(
        'train.py',
        *(CONFIG, '--work-dir', tmp_path, '--resume', trained / 'epoch_2.pth'),
        *options(synthetic),
    )
    whole, resumed = losses(trained), losses(tmp_path)
    assert 'resumed epoch: 2' in first.stdout + first.stderr
    assert resumed
    assert set(resumed) == {step for step in whole if step > max(whole) * 2 // 3}


@pytest.mark.slow
def test_raises_on_invalid_arguments(tmp_path):
    result = run_tool('train.py', tmp_path / 'no.py', check=False)
    assert result.returncode
    assert 'no.py' in result.stderr
    result = run_tool(
        'draw_poses.py',
        *('--ann', tmp_path / 'no.json', '--pred', 'x', '--images', 'x', '--out', 'x'),
        check=False,
    )
    assert result.returncode == 2
    assert 'no.json does not exist' in result.stderr
    there = ('--ann', CONFIG, '--pred', CONFIG, '--images', tmp_path, '--out', tmp_path)
    result = run_tool('draw_poses.py', *there, '--pose-nms', 'coco', check=False)
    assert result.returncode == 2
    assert "pose_nms must be 'rmpe-paper'" in result.stderr
    result = run_tool(
        'make_synthetic_people.py', tmp_path, '--difficulty', 'hard', check=False
    )
    assert result.returncode == 2
    assert "'easy', 'crowd'" in result.stderr
