# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest

from rmpe_plugin.ops import ProposalModel
from tests.conftest import DATA, run_tool
from tests.test_learning.conftest import detected_crowd  # noqa: F401

SMALL = ('--atoms', 4, '--components', 4, '--min-people', 200)
MINI = DATA / 'coco_mini'


@pytest.fixture(scope='module')
def fitted(detected_crowd, tmp_path_factory):  # noqa: F811
    """Path of a model, and the output of the script."""
    ann, det = detected_crowd
    out = tmp_path_factory.mktemp('pgpg') / 'model.json'
    images = ann.parents[1] / 'train'
    arguments = ('--ann', ann, '--det', det, '--images', images, '--out', out)
    return out, run_tool('fit_pgpg.py', *arguments, *SMALL).stdout


def test_writes_a_model_and_plots(fitted):
    out, printed = fitted
    model = ProposalModel.from_json(out)
    assert len(model.atoms) == 4
    assert model.torso == ((5, 6), (11, 12))
    plots = [out.with_name(f'model_{k}.png') for k in ('atoms', 'offsets', 'proposals')]
    assert printed.split()[-4:] == [str(out), *map(str, plots)]
    assert all(plot.stat().st_size > 20_000 for plot in plots)


def test_counts_add_up_to_all_records(fitted, detected_crowd):  # noqa: F811
    for kind, path in zip(('people', 'detections'), detected_crowd, strict=True):
        records = json.loads(path.read_text())
        number = len(records['annotations'] if kind == 'people' else records)
        rows = re.findall(rf'│ {kind} +│[^│]+│ (\d+) +│', fitted[1])
        assert sum(map(int, rows)) == number


def test_few_people_give_a_model_without_atomic_poses(tmp_path):
    out = tmp_path / 'model.json'
    result = run_tool(
        'fit_pgpg.py',
        '--ann', MINI / 'person_keypoints_mini.json',
        '--det', MINI / 'person_detections_mini.json',
        '--out', out,
    )  # fmt: skip
    assert 'people are too few' in ' '.join(result.stdout.split())
    assert ProposalModel.from_json(out).atoms is None
    assert (tmp_path / 'model_offsets.png').stat().st_size > 20_000


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--ann', 'no.json'), 'no.json does not exist'),
        (('--iou-thr', '1.5'), '--iou-thr must be between 0 and 1, got 1.5'),
        (('--holdout', '0'), '--holdout must be between 0 and 1, got 0.0'),
        (('--atoms', '-1'), '--atoms must be at least 0, got -1'),
        (('--min-people', '4'), '--min-people must be at least 5, got 4'),
    ],
)
def test_raises_on_invalid_arguments(arguments, message):
    files = (
        '--ann', MINI / 'person_keypoints_mini.json',
        '--det', MINI / 'person_detections_mini.json',
        '--out', 'model.json',
    )  # fmt: skip
    result = run_tool('fit_pgpg.py', *files, *arguments, check=False)
    assert result.returncode == 2
    assert message in result.stderr
