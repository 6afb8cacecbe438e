# SPDX-License-Identifier: Apache-2.0
"""Stage 2 with the scripts: train, kill, resume, test, draw."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from tests.conftest import ROOT, run_command, run_experiment
from tests.test_end_to_end import CONFIG as STAGE1
from tests.test_end_to_end import options

STAGE2 = STAGE1.with_name('td-hm_cpn-res18_sstn_synthetic-128x96.py')


def stage2_options(synthetic, stage1):
    """Config options for a data set of a few images, starting from ``stage1``."""
    boxes = synthetic / 'annotations' / 'person_detections_val.json'
    annotations = synthetic / 'annotations' / 'person_keypoints_val.json'
    evaluator = [
        f'val_evaluator.0.ann_file={annotations}'
        if option.startswith('val_evaluator.')
        else option
        for option in options(synthetic)
    ]
    return [
        *evaluator,
        f'load_from={stage1}',
        f'model.stn.backbone.init_cfg.checkpoint={stage1}',
        f'test_dataloader.dataset.bbox_file={boxes}',
    ]


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """An untrained checkpoint of stage 1."""
    torch.manual_seed(0)
    net = MODELS.build(Config.fromfile(STAGE1).model)
    path = tmp_path_factory.mktemp('stage1') / 'epoch_3.pth'
    torch.save(dict(state_dict=net.state_dict()), path)
    return path


def weights(path):
    return torch.load(path, map_location='cpu', weights_only=False)['state_dict']


def logs(work):
    return ''.join(path.read_text() for path in sorted(work.glob('*/*.log')))


@pytest.fixture(scope='module')
def trained(synthetic, stage1, tmp_path_factory):
    """Work directory of stage 2, killed after an epoch and resumed."""
    work = tmp_path_factory.mktemp('stage2')
    command = [
        *(sys.executable, ROOT / 'tools' / 'train.py', STAGE2, '--work-dir', work),
        *stage2_options(synthetic, stage1),
    ]
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    with open(work / 'first.txt', 'w') as output:
        first = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=output
        )
        deadline = time.monotonic() + 300
        while not (work / 'last_checkpoint').is_file() and first.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL, (work / 'first.txt').read_text()
    assert not (work / 'epoch_2.pth').is_file()
    # With the option load_from, that checkpoint would be resumed.
    changes = [
        option
        for option in stage2_options(synthetic, stage1)
        if not option.startswith('load_from=')
    ]
    run_command('train', STAGE2, '--work-dir', work, '--resume', *changes)
    return work


@pytest.mark.slow
def test_resumes_after_a_kill(trained):
    assert 'resumed epoch: 1' in logs(trained)
    steps = [
        json.loads(line)['step']
        for path in sorted(trained.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
        if '"loss"' in line
    ]
    assert len(steps) == len(set(steps)) == max(steps)
    first, second = (weights(trained / f'epoch_{i}.pth') for i in (1, 2))
    assert first.keys() == second.keys()
    assert not torch.equal(first['stn.fc.bias'], second['stn.fc.bias'])


@pytest.mark.slow
def test_logs_both_losses_and_the_iou_of_windows(trained):
    text = logs(trained)
    for name in ('loss_refine', 'parallel.loss_refine', 'window/iou_crop', 'coco/AP'):
        assert f'{name}: ' in text


@pytest.mark.slow
def test_state_dict_has_the_stn_and_no_parallel_sppe(trained, stage1):
    saved, plain = weights(trained / 'epoch_2.pth'), weights(stage1)
    assert {key for key in saved if not key.startswith('stn.')} == set(plain)
    assert any(key.startswith('stn.backbone.') for key in saved)
    config = Config.fromfile(STAGE2)
    config.model.stn.backbone.init_cfg = None
    config.model.parallel = None
    MODELS.build(config.model).load_state_dict(saved, strict=True)


@pytest.mark.slow
def test_tests_on_detections_and_draws(trained, synthetic, stage1, tmp_path):
    checkpoint = trained / 'epoch_2.pth'
    changes = stage2_options(synthetic, stage1)
    result = run_command('test', STAGE2, checkpoint, '--work-dir', tmp_path, *changes)
    assert 'coco/AP' in result.stdout + result.stderr
    sheet = tmp_path / 'new' / 'sheet.png'
    arguments = (STAGE2, checkpoint, '--out', sheet, '--num', 3, '--scale', 1)
    run_experiment('draw_sstn', *arguments, *changes)
    assert cv2.imread(str(sheet)).shape == (24 + 3 * 160, 5 * 120, 3)


@pytest.mark.slow
def test_reports_missing_files(tmp_path):
    arguments = (STAGE2, tmp_path / 'no.pth', '--out', tmp_path / 'a.png')
    result = run_experiment('draw_sstn', *arguments, check=False)
    assert result.returncode == 2
    assert 'no.pth does not exist' in result.stderr
