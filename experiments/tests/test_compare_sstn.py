# SPDX-License-Identifier: Apache-2.0
import hashlib
import json

import pytest

from experiments.sstn_variants import SSTN_VARIANTS
from rmpe_plugin.utils.files import ResumeJournal
from tests.conftest import run_experiment


@pytest.fixture
def finished(tmp_path):
    """Arguments of a run that has finished all variants."""
    stage1 = tmp_path / 'stage1.pth'
    stage1.write_bytes(b'weights')
    digest = hashlib.sha256(stage1.read_bytes()).hexdigest()
    settings = dict(stage1=digest, cfg_options={})
    journal = ResumeJournal(tmp_path / 'work' / 'journal.jsonl', settings)
    for variant in SSTN_VARIANTS:
        results = {'detections': 0.25, 'perturbed': 0.5}
        if variant != 'no SSTN':
            results |= {'window/iou': 0.8, 'window/iou_crop': 0.7, 'window/gain': 0.1}
        journal.append(dict(variant=variant, results=results))
    journal.close()
    return ['compare_sstn', stage1, '--work-dir', tmp_path / 'work']


def test_finished_variants_are_not_trained_again(finished, tmp_path):
    variants = ('no SSTN', 'SSTN, window loss')
    printed = run_experiment(*finished, '--variants', *variants).stdout
    rows = [line for line in printed.splitlines() if line.startswith('│')]
    cells = [[cell.strip() for cell in row.split('│')[1:-1]] for row in rows]
    assert cells == [
        ['no SSTN', '0.250', '0.500', '', '', ''],
        ['SSTN, window loss', '0.250', '0.500', '0.800', '0.700', '0.100'],
    ]
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert [record['variant'] for record in results] == list(SSTN_VARIANTS)


def test_exits_on_results_of_another_checkpoint(finished):
    finished[1].write_bytes(b'other weights')
    result = run_experiment(*finished, check=False)
    assert result.returncode == 1
    assert 'belongs to a run with other settings' in result.stderr
    assert 'Traceback' not in result.stderr
