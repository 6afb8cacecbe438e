# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import PoseNMSParams
from tests.conftest import run_command
from tests.test_fitting.factories import write_predictions


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    """Arguments with predictions and annotations of 12 images."""
    root = tmp_path_factory.mktemp('crowd')
    write_split(root, 'val', 12, (320, 240), 'crowd', seed=0)
    ann = root / 'annotations' / 'person_keypoints_val.json'
    pred, _ = write_predictions(ann, root / 'val')
    return ('--pred', pred, '--ann', ann, '--fit-share', 0.25)


@pytest.fixture(scope='module')
def learned(crowd, tmp_path_factory):
    """Folder of a finished search, and the output of the script."""
    out = tmp_path_factory.mktemp('search')
    return out, run_command('tune-nms', *crowd, '--out', out).stdout


def test_writes_parameters_and_a_figure(learned):
    out, printed = learned
    params = PoseNMSParams.from_json(out / 'pose_nms.json')
    assert params.normalize
    assert (out / 'search.png').stat().st_size > 10_000
    names = ('pose_nms.json', 'journal.jsonl', 'search.png')
    assert printed.split()[-3:] == [str(out / name) for name in names]


def test_prints_a_row_per_method(learned):
    for row in ('no NMS', 'OKS-NMS', 'rmpe-paper', 'alphapose-coco', 'learned'):
        assert f'│ {row} ' in learned[1]


@pytest.mark.slow
def test_continues_with_the_same_arguments(crowd, learned, tmp_path):
    out, printed = learned
    journal = (out / 'journal.jsonl').read_text()
    # The process was killed while it wrote a trial, 40 before the last one.
    lines = journal.splitlines()
    cut = '\n'.join(lines[:-40]) + '\n' + lines[-40][:20]
    (tmp_path / 'journal.jsonl').write_text(cut)
    arguments = (*crowd, '--out', tmp_path)
    again = run_command('tune-nms', *arguments, '--workers', 1).stdout
    assert (tmp_path / 'journal.jsonl').read_text() == journal
    params = (out / 'pose_nms.json').read_text()
    assert (tmp_path / 'pose_nms.json').read_text() == params
    rows = [line for line in printed.splitlines() if line.startswith('│')]
    assert rows == [line for line in again.splitlines() if line.startswith('│')]

    other = run_command('tune-nms', *arguments, '--seed', 1, check=False)
    assert other.returncode == 2
    assert 'belongs to a run with other settings' in other.stderr
    assert 'Traceback' not in other.stderr


def test_exits_on_invalid_arguments(crowd, tmp_path):
    for arguments, message in (
        (('--pred', 'no.json'), 'no.json does not exist'),
        (('--start', 'coco'), "got 'coco', which is"),
        (('--fit-share', 1), 'between 0 and 1'),
        (('--workers', 0), '--workers: must be at least 1, got 0'),
    ):
        result = run_command(
            'tune-nms', *crowd, *arguments, '--out', tmp_path, check=False
        )
        assert result.returncode == 2
        assert message in result.stderr
