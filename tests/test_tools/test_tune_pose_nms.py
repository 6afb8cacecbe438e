# SPDX-License-Identifier: Apache-2.0
"""The four parameters are learnt from files, and an interrupted search goes on."""

import json
from functools import partial

import numpy as np
import pytest

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import PoseNMSParams
from tests.conftest import ROOT, load_module, run_tool
from tests.test_evaluation.test_pose_nms_coco_metric import (
    COCO,
    build,
    evaluate,
    predictions,
)


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    """Truths of 12 images, predictions of everybody three times, and their AP."""
    root = tmp_path_factory.mktemp('crowd')
    write_split(root, 'val', 12, (320, 240), 'crowd', seed=0)
    truths = root / 'annotations' / 'person_keypoints_val.json'
    everybody = build(
        ann_file=str(truths), nms_mode='none', outfile_prefix=str(root / 'val')
    )
    ap = evaluate(everybody, predictions(truths))['coco/AP']
    return truths, root / 'val.keypoints.json', ap


@pytest.fixture(scope='module')
def tool():
    return load_module(ROOT / 'tools' / 'tune_pose_nms.py')


@pytest.fixture(scope='module')
def learnt(crowd, tmp_path_factory):
    """A finished search: its folder and what it printed."""
    truths, found, _ = crowd
    out = tmp_path_factory.mktemp('search')
    result = run_tool(
        'tune_pose_nms.py', '--pred', found, '--ann', truths, '--out', out
    )
    return out, result.stdout


def whole(tool, crowd):
    truths, found, _ = crowd
    truth, people, sigmas = tool.read(found, truths, 'configs/_base_/datasets/coco.py')
    grouped = {}
    for person in people:
        grouped.setdefault(person['image_id'], []).append(person)
    return tool.Part(truth, sigmas, list(grouped.values()))


def test_its_ap_is_cocometrics(tool, crowd):
    part = whole(tool, crowd)
    assert part.ap(tool.no_nms(part)) == pytest.approx(crowd[2], abs=1e-9)
    assert part.ap([]) == 0

    params = PoseNMSParams.preset('alphapose-coco')
    metric = build(ann_file=str(crowd[0]), pose_nms=dict(preset='alphapose-coco'))
    ap = evaluate(metric, predictions(crowd[0]))['coco/AP']
    assert part.ap(tool.pose_nms(part, params)) == pytest.approx(ap, abs=1e-6)
    assert ap > crowd[2]

    metric = build(ann_file=str(crowd[0]), nms_mode='oks_nms', nms_thr=0.5)
    ap = evaluate(metric, predictions(crowd[0]))['coco/AP']
    method = partial(tool.mmpose_nms, nms=tool.oks_nms, threshold=0.5)
    assert part.ap(method(part)) == pytest.approx(ap, abs=1e-6)


def test_ap_without_areas_is_crowdposes(tool, crowd, tmp_path):
    truth = json.loads(crowd[0].read_text())
    for i, image in enumerate(truth['images']):
        image['crowdIndex'] = i / len(truth['images'])
    for person in truth['annotations']:
        del person['area']
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(truth))
    metric = build(
        meta=COCO,
        ann_file=str(path),
        nms_mode='none',
        iou_type='keypoints_crowd',
        use_area=False,
        prefix='crowdpose',
    )
    ap = evaluate(metric, predictions(path))['crowdpose/AP']
    part = whole(tool, (path, crowd[1], None))
    assert part.ap(tool.no_nms(part)) == pytest.approx(ap, abs=1e-9)


def test_halves_share_no_image(tool, crowd):
    truths, found, _ = crowd
    inputs = tool.read(found, truths, 'configs/_base_/datasets/coco.py')
    seen, unseen = tool.split(*inputs, 0.5, seed=0)
    ids = [{image['id'] for image in part.truth['images']} for part in (seen, unseen)]
    assert len(ids[0]) == len(ids[1]) == 6
    assert not ids[0] & ids[1]
    again, _ = tool.split(*inputs, 0.5, seed=0)
    assert {image['id'] for image in again.truth['images']} == ids[0]
    other, _ = tool.split(*inputs, 0.5, seed=1)
    assert {image['id'] for image in other.truth['images']} != ids[0]


def test_learns_what_is_better_than_no_nms(learnt):
    out, printed = learnt
    params = PoseNMSParams.from_json(out / 'pose_nms.json')
    assert params.normalize
    about, *trials = map(json.loads, (out / 'history.jsonl').read_text().splitlines())
    assert about['starts']['rmpe-paper']['sigma1'] == 0.01
    assert {trial['start'] for trial in trials} == {'rmpe-paper', 'rmpe-mpii'}
    best = max(trial['AP'] for trial in trials)
    at_best = [t for t in trials if np.isclose(t['eta'], params.eta, rtol=1e-6)]
    assert max(t['AP'] for t in at_best) > best - 1e-4
    assert (out / 'search.png').stat().st_size > 10_000
    for row in ('no NMS', 'OKS-NMS', 'rmpe-paper', 'alphapose-coco', 'learnt'):
        assert row in printed


def test_goes_on_where_it_was_interrupted(learnt, crowd, tmp_path):
    history = (learnt[0] / 'history.jsonl').read_text()
    lines = history.splitlines()
    # Killed in the middle of writing the 40th trial.
    cut = '\n'.join(lines[:40]) + '\n' + lines[40][:20]
    (tmp_path / 'history.jsonl').write_text(cut)
    truths, found, _ = crowd
    arguments = ('--pred', found, '--ann', truths, '--out', tmp_path)
    run_tool('tune_pose_nms.py', *arguments, '--workers', 1)
    assert (tmp_path / 'history.jsonl').read_text() == history
    learnt_params = (learnt[0] / 'pose_nms.json').read_text()
    assert (tmp_path / 'pose_nms.json').read_text() == learnt_params

    other = run_tool('tune_pose_nms.py', *arguments, '--seed', 1, check=False)
    assert other.returncode == 1
    assert 'the history of another search' in other.stderr


@pytest.mark.parametrize(
    ('break_it', 'message'),
    [
        (lambda people: [], 'must be a list of COCO results and not empty'),
        (lambda people: dict(a=1), 'must be a list of COCO results'),
        (
            lambda people: [dict(people[0], image_id=99)],
            'of image 99, which is not among',
        ),
        (
            lambda people: [{k: v for k, v in people[0].items() if k != 'bbox'}],
            'result 0 has no bbox',
        ),
        (lambda people: [dict(people[0], keypoints=[0, 0, 1])], 'wants 3 x 17'),
    ],
)
def test_says_what_is_wrong_with_predictions(tool, crowd, tmp_path, break_it, message):
    truths, found, _ = crowd
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(break_it(json.loads(found.read_text()))))
    with pytest.raises(SystemExit, match=message):
        tool.read(path, truths, 'configs/_base_/datasets/coco.py')


@pytest.mark.parametrize('text', ['{"images": [', '[]', '{"images": []}'])
def test_says_what_is_wrong_with_the_truth(tool, crowd, tmp_path, text):
    path = tmp_path / 'broken.json'
    path.write_text(text)
    with pytest.raises(SystemExit, match=r'broken\.json'):
        tool.read(crowd[1], path, 'configs/_base_/datasets/coco.py')


def test_says_that_a_part_has_nobody(tool, crowd):
    truths, found, _ = crowd
    inputs = tool.read(found, truths, 'configs/_base_/datasets/coco.py')
    with pytest.raises(SystemExit, match='both parts need people'):
        tool.split(*inputs, 0.01, seed=0)


def test_says_what_is_wrong_with_arguments(crowd, tmp_path):
    truths, found, _ = crowd
    for arguments, message in (
        (('--pred', 'no.json', '--ann', truths), 'no.json does not exist'),
        (('--pred', found, '--ann', truths, '--start', 'coco'), "got 'coco', which is"),
        (('--pred', found, '--ann', truths, '--fit-share', 1), 'between 0 and 1'),
    ):
        result = run_tool(
            'tune_pose_nms.py', *arguments, '--out', tmp_path, check=False
        )
        assert result.returncode == 2
        assert message in result.stderr
