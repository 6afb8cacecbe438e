# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch
from mmpose.registry import MODELS
from rich.progress import Progress

from experiments.ablation import (
    SIZES,
    TABLES,
    WINDOWS,
    Ablation,
    build_training_config,
)
from experiments.tests.factories import launch_perturbed
from tests.conftest import run_experiment


@pytest.fixture
def finished(tmp_path, unformatted_configs):
    """Folder of a run with untrained SSTNs, whose poses are perturbed annotations."""
    ablation = Ablation(tmp_path, SIZES['tiny'], launch=launch_perturbed)
    ablation.prepare()
    with Progress(disable=True) as progress:
        ablation.run([0], progress)
    for name in WINDOWS.values():
        net = MODELS.build(build_training_config(ablation.files, name, 0).model)
        torch.save(
            dict(state_dict=net.state_dict()), ablation.files.checkpoint(name, 0)
        )
    return tmp_path


@pytest.mark.slow
def test_writes_tables_and_a_figure(finished):
    arguments = ('ablation', '--work-dir', finished, '--seeds', 0)
    printed = run_experiment(*arguments, '--size', 'tiny').stdout
    record = json.loads((finished / 'results.json').read_text())
    assert record['size'] == 'tiny'
    assert record['seeds'] == [0]
    table = (finished / 'table.md').read_text()
    assert list(record['tables']) == list(TABLES)
    for title, rows in record['tables'].items():
        assert title in printed
        assert list(rows) == list(TABLES[title].rows)
        for name, row in rows.items():
            assert f'| {name} | ' in table
            assert 0 <= row['AP'][0] <= 1
            assert 0 <= row['mAP'][0] <= 1
            for change in row['changes'].values():
                low, high = change['interval']
                assert low <= high
            assert 0 <= row['recall'][0] <= 1
    assert list(record['windows']) == list(WINDOWS)
    for name, (metrics,) in record['windows'].items():
        # Untrained, an STN does not change the crop.
        iou = f'{metrics["window/iou_crop"]:.3f}'
        assert f'| {name} | {iou} | {iou} | +0.000 |' in table
    assert (finished / 'ablation.png').stat().st_size > 10_000

    result = run_experiment(*arguments, '--size', 'cpu', check=False)
    assert result.returncode == 1
    assert 'belongs to a run with other settings' in result.stderr
    assert 'Traceback' not in result.stderr


def test_exits_on_invalid_arguments(tmp_path):
    for arguments, message in (
        (('--seeds', 1, 1), '--seeds: must be different and not negative'),
        (('--jobs', 0), '--jobs: must be at least 1, got 0'),
        (('--size', 'huge'), "'cpu', 'gpu', 'tiny'"),
    ):
        result = run_experiment(
            'ablation', *arguments, '--work-dir', tmp_path, check=False
        )
        assert result.returncode == 2
        assert message in result.stderr
