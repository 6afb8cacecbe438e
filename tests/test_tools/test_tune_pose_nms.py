# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from rmpe_plugin.ops import PoseNMSParams
from tests.conftest import run_tool
from tests.test_learning.conftest import predicted_crowd  # noqa: F401


@pytest.fixture(scope='module')
def searched(predicted_crowd, tmp_path_factory):  # noqa: F811
    """Output folder of a finished search, and the output of the script."""
    pred, ann, _ = predicted_crowd
    out = tmp_path_factory.mktemp('search')
    files = ('--pred', pred, '--ann', ann, '--out', out)
    return out, run_tool('tune_pose_nms.py', *files).stdout


def test_writes_the_best_parameters(searched):
    out, printed = searched
    params = PoseNMSParams.from_json(out / 'pose_nms.json')
    assert params.normalize
    settings, *trials = map(
        json.loads, (out / 'journal.jsonl').read_text().splitlines()
    )
    assert settings['starts']['rmpe-paper']['sigma1'] == 0.01
    assert {trial['start'] for trial in trials} == {'rmpe-paper', 'rmpe-mpii'}
    best = max(trial['AP'] for trial in trials)
    at_best = [t for t in trials if np.isclose(t['eta'], params.eta, rtol=1e-6)]
    assert max(t['AP'] for t in at_best) > best - 1e-4
    assert (out / 'search.png').stat().st_size > 10_000
    for row in ('no NMS', 'OKS-NMS', 'rmpe-paper', 'alphapose-coco', 'learned'):
        assert row in printed


def test_continues_after_an_interruption(searched, predicted_crowd, tmp_path):  # noqa: F811
    journal = (searched[0] / 'journal.jsonl').read_text()
    lines = journal.splitlines()
    # Interrupted while the 40th trial was written.
    cut = '\n'.join(lines[:40]) + '\n' + lines[40][:20]
    (tmp_path / 'journal.jsonl').write_text(cut)
    pred, ann, _ = predicted_crowd
    arguments = ('--pred', pred, '--ann', ann, '--out', tmp_path, '--workers', 1)
    run_tool('tune_pose_nms.py', *arguments)
    assert (tmp_path / 'journal.jsonl').read_text() == journal
    params = (searched[0] / 'pose_nms.json').read_text()
    assert (tmp_path / 'pose_nms.json').read_text() == params

    other = run_tool('tune_pose_nms.py', *arguments, '--seed', 1, check=False)
    assert other.returncode == 1
    assert 'other settings' in other.stderr


def test_raises_on_invalid_arguments(predicted_crowd, tmp_path):  # noqa: F811
    pred, ann, _ = predicted_crowd
    for arguments, message in (
        (('--pred', 'no.json', '--ann', ann), 'no.json does not exist'),
        (('--pred', pred, '--ann', ann, '--start', 'coco'), "got 'coco', which is"),
        (('--pred', pred, '--ann', ann, '--fit-share', 1), 'between 0 and 1'),
    ):
        result = run_tool(
            'tune_pose_nms.py', *arguments, '--out', tmp_path, check=False
        )
        assert result.returncode == 2
        assert message in result.stderr
