# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import ProposalModel
from tests.conftest import DATA, run_command

SMALL = ('--atoms', 4, '--components', 4, '--min-people', 50)


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    """Folder, annotations and simulated detections of 100 images."""
    root = tmp_path_factory.mktemp('crowd')
    write_split(root, 'train', 100, (320, 240), 'crowd', seed=0)
    folder = root / 'annotations'
    return (
        root,
        folder / 'person_keypoints_train.json',
        folder / 'person_detections_train.json',
    )


@pytest.fixture(scope='module')
def fitted(crowd, tmp_path_factory):
    """Path of the model, and the output of the script."""
    root, ann, det = crowd
    out = tmp_path_factory.mktemp('pgpg') / 'model.json'
    arguments = ('--ann', ann, '--det', det, '--images', root / 'train', '--out', out)
    return out, run_command('fit-pgpg', *arguments, *SMALL).stdout


def test_writes_a_model_and_figures(fitted):
    out, printed = fitted
    model = ProposalModel.from_json(out)
    assert len(model.atoms) == 4
    assert model.torso == ((5, 6), (11, 12))
    figures = [
        out.with_name(f'model_{kind}.png') for kind in ('atoms', 'offsets', 'proposals')
    ]
    assert printed.split()[-4:] == [str(out), *map(str, figures)]
    for path in figures:
        assert path.stat().st_size > 20_000


def test_prints_a_count_for_every_record(fitted, crowd):
    _, ann, det = crowd
    for kind, path in (('people', ann), ('detections', det)):
        records = json.loads(path.read_text())
        number = len(records['annotations'] if kind == 'people' else records)
        rows = re.findall(rf'│ {kind} +│[^│]+│ (\d+) +│', fitted[1])
        assert sum(map(int, rows)) == number


def test_prints_the_comparison(fitted):
    for name in ('PGPG', 'single mixture', 'single Gaussian', 'AlphaPose',
                 'uniform jitter'):  # fmt: skip
        assert f'│ {name} ' in fitted[1]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--ann', 'no.json'), 'no.json does not exist'),
        (('--iou-thr', '1.5'), '--iou-thr: must be between 0 and 1, got 1.5'),
        (('--holdout', '0'), '--holdout: must be between 0 and 1, got 0.0'),
        (('--atoms', '-1'), '--atoms: must be at least 0, got -1'),
        (('--min-people', '4'), '--min-people: must be at least 5, got 4'),
    ],
)
def test_exits_on_invalid_arguments(crowd, arguments, message):
    valid = ('--ann', crowd[1], '--det', crowd[2], '--out', 'model.json')
    result = run_command('fit-pgpg', *valid, *arguments, check=False)
    assert result.returncode == 2
    assert message in result.stderr


def test_exits_on_malformed_files(crowd, tmp_path):
    (tmp_path / 'empty.json').touch()
    result = run_command(
        'fit-pgpg',
        *('--ann', crowd[1], '--det', tmp_path / 'empty.json'),
        *('--out', tmp_path / 'model.json'),
        check=False,
    )
    assert result.returncode == 2
    assert 'empty.json is not JSON' in result.stderr
    assert 'Traceback' not in result.stderr


def test_warns_about_too_few_people_of_a_real_detector(tmp_path):
    out = tmp_path / 'model.json'
    data = DATA / 'coco_mini'
    result = run_command(
        'fit-pgpg',
        *('--ann', data / 'person_keypoints_mini.json'),
        *('--det', data / 'person_detections_mini.json'),
        *('--out', out),
    )
    printed = ' '.join(result.stdout.split())
    assert 'people are too few: the model ignores the pose' in printed
    assert ProposalModel.from_json(out).atoms is None
    assert (tmp_path / 'model_offsets.png').stat().st_size > 20_000
    assert not (tmp_path / 'model_proposals.png').exists()
