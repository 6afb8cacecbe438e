# SPDX-License-Identifier: Apache-2.0
"""How a detector errs is learnt from files, and what is wrong with them is said."""

import json
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import ProposalModel
from tests.conftest import ROOT, load_module, run_tool

SMALL = ('--atoms', 4, '--components', 4, '--min-people', 200)

tool = load_module(ROOT / 'tools' / 'fit_pgpg.py')


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    """Folder, truths and simulated detections of 400 images."""
    root = tmp_path_factory.mktemp('crowd')
    write_split(root, 'train', 400, (320, 240), 'crowd', seed=0)
    folder = root / 'annotations'
    return (
        root,
        folder / 'person_keypoints_train.json',
        folder / 'person_detections_train.json',
    )


@pytest.fixture(scope='module')
def fitted(crowd, tmp_path_factory):
    """The model's path and what the tool printed."""
    root, ann, det = crowd
    out = tmp_path_factory.mktemp('pgpg') / 'model.json'
    arguments = ('--ann', ann, '--det', det, '--images', root / 'train', '--out', out)
    return out, run_tool('fit_pgpg.py', *arguments, *SMALL).stdout


def test_writes_a_model_and_pictures(fitted):
    out, printed = fitted
    model = ProposalModel.from_json(out)
    assert len(model.atoms) == 4
    assert model.torso == ((5, 6), (11, 12))
    assert printed.split()[-4:] == [
        str(out),
        *(str(out.with_name(f'model_{what}.png'))
          for what in ('atoms', 'offsets', 'proposals')),
    ]  # fmt: skip
    for path in printed.split()[-3:]:
        assert (out.parent / path).stat().st_size > 20_000


def test_everybody_is_accounted_for(fitted, crowd):
    _, ann, det = crowd
    for kind, path in (('people', ann), ('detections', det)):
        records = json.loads(path.read_text())
        number = len(records['annotations'] if kind == 'people' else records)
        rows = re.findall(rf'│ {kind} +│[^│]+│ (\d+) +│', fitted[1])
        assert sum(map(int, rows)) == number


def matched(crowd):
    people, _ = tool.match(*tool.read(*crowd[1:], 17), 0.5, 0.05)
    held_out = people.image > 300
    return people[~held_out], people[held_out]


def test_beats_one_gaussian_alphapose_and_jitter_on_people_not_seen(crowd):
    seen, unseen = matched(crowd)
    model = ProposalModel.fit(
        seen.keypoints, seen.visible, seen.bboxes, seen.detections, 4, 4, 200
    )
    rows = tool.compare(model, seen, unseen, 0.5, seed=0)
    likelihood = {name: row[0] for name, row in rows.items()}
    assert likelihood['PGPG'] > likelihood['one Gaussian'] + 0.2
    assert likelihood['one Gaussian'] > likelihood['AlphaPose'] + 0.3
    assert likelihood['PGPG'] > rows['without the pose'][0] - 0.2
    for column in (1, 2):
        distance = {name: row[column] for name, row in rows.items()}
        assert distance['PGPG'] < 0.2 * distance['AlphaPose']
        assert distance['PGPG'] < 0.1 * distance['uniform']
    assert rows['PGPG'][2] < rows['one Gaussian'][2]


def test_a_detection_goes_to_one_person_and_the_best_pair_first():
    overlaps = np.array([[0.9, 0.6, 0.0], [0.8, 0.7, 0.0], [0.0, 0.0, 0.4]])
    assert tool.pair_by_iou(overlaps, 0.5) == [(0, 0), (1, 1)]
    # the row that loses its best column does not take another's from it
    overlaps = np.array([[0.9, 0.6], [0.55, 0.0]])
    assert tool.pair_by_iou(overlaps, 0.5) == [(0, 0)]


@given(
    arrays(
        float,
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        elements=st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.7, 1.0]),
    )
)
def test_pairs_are_one_to_one_and_nobody_is_left_who_could_be_paired(overlaps):
    pairs = tool.pair_by_iou(overlaps, 0.5)
    rows, columns = {r for r, _ in pairs}, {c for _, c in pairs}
    assert len(rows) == len(columns) == len(pairs)
    values = [overlaps[pair] for pair in pairs]
    assert values == sorted(values, reverse=True)
    for (r, c), value in np.ndenumerate(overlaps):
        if value >= 0.5:
            assert r in rows or c in columns


def test_energy_distance_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 4)), rng.normal(size=(30, 4)) + 1

    def mean(pairs):
        return np.mean([np.linalg.norm(x - y) for x, y in pairs])

    expected = 2 * mean([(x, y) for x in a for y in b])
    for z in (a, b):
        different = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
        expected -= mean([(z[i], z[j]) for i, j in different])
    assert tool.energy_distance(a, b) == pytest.approx(expected)
    halves = rng.normal(size=(2, 2000, 4))
    assert abs(tool.energy_distance(*halves)) < 0.005


def test_uniform_jitter_keeps_the_overlap():
    offsets = tool.uniform_jitter(500, 0.5, np.random.default_rng(0))
    assert offsets.shape == (500, 4)
    low, high = offsets[:, :2], 1 + offsets[:, 2:]
    inside = np.minimum(high, 1) - np.maximum(low, 0)
    both = inside.prod(axis=1)
    assert (both / (1 + (high - low).prod(axis=1) - both) > 0.5).all()


def person(image=1, box=(10, 10, 20, 40), seen=17, **more):
    keypoints = [[15.0, 20.0 + i, 2 if i < seen else 0] for i in range(17)]
    return dict(
        id=1, image_id=image, category_id=1, bbox=list(box), iscrowd=0,
        num_keypoints=seen, keypoints=np.ravel(keypoints).tolist(), **more,
    )  # fmt: skip


def detection(image=1, box=(10, 10, 20, 40), score=0.9, category=1):
    return dict(image_id=image, bbox=list(box), score=score, category_id=category)


def test_what_becomes_of_each_is_counted():
    truth = dict(
        images=[dict(id=i, width=100, height=100, file_name='') for i in (1, 2, 3)],
        annotations=[
            person(),
            # takes its own detection, so that nobody else gets it
            person(box=(60, 10, 20, 40), seen=0),
            person(image=2, box=(0, 0, 50, 50)),
            person(image=3, box=(0, 0, 0, 50)),
            dict(person(image=3), iscrowd=1),
            person(image=4),
        ],
    )
    detections = [
        detection(),
        detection(box=(11, 10, 20, 40)),
        detection(box=(60, 10, 20, 40)),
        detection(image=2, box=(40, 40, 50, 50)),
        detection(score=0.01),
        detection(category=2),
        detection(image=9),
        detection(box=(10, 10, -5, 40)),
        detection(box=(10, 10, float('nan'), 40)),
    ]
    people, table = tool.match(truth, detections, 0.5, 0.05)
    assert len(people) == 1
    np.testing.assert_array_equal(people.bboxes, [[10, 10, 30, 50]])
    np.testing.assert_array_equal(people.detections, people.bboxes)
    np.testing.assert_array_equal(people.offsets, np.zeros((1, 4)))
    columns = [list(column.cells) for column in table.columns]
    found = {(kind, why): int(n) for kind, why, n, _ in zip(*columns, strict=True)}
    assert found == {
        ('people', 'matched'): 1,
        ('people', 'without keypoints'): 1,
        ('people', 'no detection of IoU 0.5'): 1,
        ('people', 'box without area'): 1,
        ('people', 'crowd regions'): 1,
        ('people', 'image not listed'): 1,
        ('detections', 'matched'): 1,
        ('detections', 'of people without keypoints'): 1,
        ('detections', 'no person of IoU 0.5'): 2,
        ('detections', 'score below 0.05'): 1,
        ('detections', 'not of category 1, person'): 1,
        ('detections', 'image not annotated'): 1,
        ('detections', 'box without area'): 2,
    }


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        (lambda truth, found: (truth, []), 'list of COCO results and not empty'),
        (lambda truth, found: (truth, dict(a=1)), 'list of COCO results'),
        (lambda truth, found: ([], found), 'must hold COCO annotations'),
        (lambda truth, found: (truth, [dict(image_id=1)]), 'result 0 has no bbox'),
        (
            lambda truth, found: (dict(truth, annotations=[dict(id=1)]), found),
            r'annotation 0 \(id 1\) has no image_id',
        ),
        (
            lambda truth, found: (dict(truth, images=[dict(id=1)]), found),
            r'image 0 \(id 1\) has no file_name, height, width',
        ),
        (
            lambda truth, found: (truth, [dict(d, image_id='a') for d in found]),
            r"no image of .* is in .*: ids such as \['a'\] and \[1, 2, 3\]",
        ),
        (
            lambda truth, found: (
                dict(truth, annotations=[person(seen=0)]),
                found,
            ),
            'nobody has keypoints',
        ),
        (
            lambda truth, found: (
                dict(truth, annotations=[dict(person(), keypoints=[1, 2, 2])]),
                found,
            ),
            'has 3 keypoint numbers, the data set wants 3 x 17',
        ),
    ],
)
def test_says_what_is_wrong_with_files(crowd, tmp_path, break_it, message):
    contents = break_it(*(json.loads(path.read_text()) for path in crowd[1:]))
    paths = tmp_path / 'ann.json', tmp_path / 'det.json'
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=message):
        tool.read(*paths, 17)


def test_says_that_there_is_no_torso():
    with pytest.raises(SystemExit, match='mine.py has no keypoint left_hip, right_hip'):
        tool.find_torso(dict(left_shoulder=0, right_shoulder=1), 'mine.py')


def test_says_that_a_file_is_no_json(crowd, tmp_path):
    (tmp_path / 'empty.json').touch()
    with pytest.raises(SystemExit, match=r'empty\.json is not JSON'):
        tool.read(crowd[1], tmp_path / 'empty.json', 17)


def test_says_that_nobody_was_found(crowd):
    truth, found = tool.read(*crowd[1:], 17)
    far = [dict(box, bbox=[0, 0, 1, 1]) for box in found]
    with pytest.raises(SystemExit, match='nobody with keypoints has a detection'):
        tool.match(truth, far, 0.5, 0.05)


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
def test_says_what_is_wrong_with_arguments(
    crowd, monkeypatch, capsys, arguments, message
):
    good = ['--ann', str(crowd[1]), '--det', str(crowd[2]), '--out', 'model.json']
    monkeypatch.setattr(sys, 'argv', ['fit_pgpg.py', *good, *arguments])
    with pytest.raises(SystemExit, match='2'):
        tool.parse_args()
    assert message in capsys.readouterr().err


def test_a_real_detector_on_four_photographs(coco_mini, tmp_path):
    out = tmp_path / 'model.json'
    result = run_tool(
        'fit_pgpg.py',
        '--ann', coco_mini / 'person_keypoints_mini.json',
        '--det', coco_mini / 'person_detections_mini.json',
        '--images', coco_mini, '--out', out,
    )  # fmt: skip
    assert 'people are too few to mean anything' in ' '.join(result.stdout.split())
    assert ProposalModel.from_json(out).atoms is None
    assert (tmp_path / 'model_proposals.png').stat().st_size > 20_000
