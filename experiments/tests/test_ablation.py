# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from rich.progress import Progress

from experiments.ablation import (
    INITIALISATION,
    PAPER_TRAININGS,
    RMPE_TABLE,
    SIZES,
    TABLES,
    TRAININGS,
    WINDOWS,
    Ablation,
    AblationFiles,
    Change,
    RowResult,
    agreement,
    build_detector_config,
    build_test_config,
    build_training_config,
    build_window_config,
    compare_rows,
    format_tables,
    launch,
    run_settings,
    to_markdown,
    with_parents,
)
from experiments.tests.factories import launch_here
from rmpe_plugin.fitting.evaluation_split import METRICS
from rmpe_plugin.ops import bootstrap_weights, joint_detections, pose_detections

IMAGES = dict(train=4, tune=6, val=2)
TINY = replace(SIZES['tiny'], images=IMAGES, jobs=1)
WITH_DETECTOR = replace(TINY, images=dict(IMAGES, detector=8), detector_epochs=1)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Paths of files that do not exist."""
    return AblationFiles(tmp_path_factory.mktemp('files'), TINY)


def flat(value, path=()):
    """Leaves of a config by path."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(x, dict) for x in value):
        items = enumerate(value)
    else:
        return {path: value}
    return {k: v for key, x in items for k, v in flat(x, (*path, key)).items()}


def differing(config, other, ignored):
    """Paths at which two configs differ, but for the output files."""
    a, b = flat(config.to_dict()), flat(other.to_dict())
    return {
        '.'.join(map(str, path))
        for path in a.keys() | b.keys()
        if a.get(path) != b.get(path) and path[-1] not in ignored
    }


def differing_trainings(files, name, other):
    """Paths at which the configs of two trainings differ."""
    configs = (build_training_config(files, n, seed=0) for n in (name, other))
    return differing(*configs, ignored=('outfile_prefix',))


@pytest.mark.parametrize('name', PAPER_TRAININGS)
def test_trainings_of_a_stage_have_the_same_precision_and_layout(files, name):
    config = build_training_config(files, name, 0)
    expected = 'float32' if TRAININGS[name].stage == 2 else 'auto'
    assert config.optim_wrapper.precision == expected
    hooks = [hook['type'] for hook in config.custom_hooks]
    assert hooks.count('ChannelsLastHook') == 1


def test_every_training_starts_from_the_same_initialisation(files):
    assert build_training_config(files, INITIALISATION, 0).load_from is None
    initial = str(files.checkpoint(INITIALISATION, 0))
    for seed in (0, 1):
        for name in PAPER_TRAININGS:
            training = TRAININGS[name]
            config = build_training_config(files, name, seed)
            if training.stage == 1:
                assert config.load_from == initial
            if training.stage == 2:
                assert config.load_from == str(files.checkpoint(training.after, seed))
                assert TRAININGS[training.after].stage == 1


def test_detector_has_images_of_its_own(tmp_path):
    files = AblationFiles(tmp_path, WITH_DETECTOR)
    config = build_detector_config(files)
    assert config.train_dataloader.dataset.data_prefix.img == 'detector/'
    assert config.train_dataloader.dataset.ann_file == str(
        files.annotations('detector')
    )
    pose = build_training_config(files, 'cpn', 0)
    assert pose.train_dataloader.dataset.data_prefix.img == 'train/'


@pytest.mark.parametrize('m', [6, 10, 12, 14])
def test_ohkm_trainings_differ_only_in_m(files, m):
    assert differing_trainings(files, 'cpn', f'cpn-m{m}') == {'model.head.loss.topk'}
    config = build_training_config(files, f'cpn-m{m}', 0)
    assert config.model.head.loss.topk == m


def test_cpn_trainings_differ_only_in_the_head(files):
    for name in ('cpn-global', 'cpn-l2'):
        paths = differing_trainings(files, 'cpn', name)
        assert paths
        assert all(path.startswith('model.head.') for path in paths), paths
    # Building a config does not change the table of trainings.
    config = build_training_config(files, 'cpn-l2', 1)
    assert config.model.head.loss.type == 'KeypointMSELoss'
    assert 'topk' not in config.model.head.loss
    config = build_training_config(files, 'cpn-global', 0)
    assert config.model.head.refine_net is None


@pytest.mark.parametrize(
    ('name', 'prefixes'),
    [
        ('no-parallel', ('model.parallel', 'custom_hooks.')),
        ('no-sstn', ('model.type', 'model.stn', 'model.parallel', 'custom_hooks.')),
    ],
)
def test_sstn_trainings_differ_only_in_the_model(files, name, prefixes):
    paths = differing_trainings(files, 'rmpe', name)
    assert paths
    assert all(path.startswith(prefixes) for path in paths), paths


@pytest.mark.parametrize('name', ['gt', 'jitter'])
def test_trainings_on_other_boxes_differ_only_in_the_pipeline(files, name):
    paths = differing_trainings(files, 'cpn', name)
    assert paths
    pipeline = 'train_dataloader.dataset.pipeline.'
    assert all(path.startswith(pipeline) for path in paths), paths


def test_pgpg_trainings_differ_only_in_boxes(files):
    boxes = {}
    for name in ('rmpe', 'rmpe-gt', 'rmpe-jitter'):
        config = build_training_config(files, name, 0)
        pipeline = {t['type']: t for t in config.train_dataloader.dataset.pipeline}
        proposal = pipeline.pop('PoseGuidedProposal', None)
        jitter = pipeline.pop('RandomBBoxTransform')
        boxes[name] = proposal is not None, jitter['shift_prob'] > 0
        assert jitter['rotate_prob'] == 0
        assert config.model.type == 'SSTNPoseEstimator'
        stage1 = {'rmpe': 'cpn', 'rmpe-gt': 'gt', 'rmpe-jitter': 'jitter'}[name]
        assert config.load_from == str(files.checkpoint(stage1, 0))
    assert boxes == {
        'rmpe': (True, False),
        'rmpe-gt': (False, False),
        'rmpe-jitter': (False, True),
    }


@pytest.mark.parametrize(('boxes', 'split'), [('gt', 'val'), ('tune', 'tune')])
def test_tests_differ_only_in_the_test_data(files, boxes, split):
    config = build_test_config(files, 'rmpe', 0, boxes)
    training = build_training_config(files, 'rmpe', 0)
    paths = differing(config, training, ignored=())
    assert all(p.startswith(('test_dataloader', 'test_evaluator')) for p in paths)
    assert config.test_evaluator.ann_file == str(files.annotations(split))
    dataset = config.test_dataloader.dataset
    assert dataset.data_prefix.img == f'{split}/'
    detections = None if boxes == 'gt' else str(files.detections(split))
    assert dataset.bbox_file == detections


@pytest.mark.parametrize('name', WINDOWS.values())
def test_windows_are_tested_on_proposals_for_the_test_people(files, name):
    config = build_window_config(files, name, 3)
    training = build_training_config(files, name, 3)
    assert config.model == training.model
    assert config.load_from == str(files.checkpoint(name, 3))
    dataset = config.test_dataloader.dataset
    assert dataset.bbox_file is None
    assert dataset.ann_file == str(files.annotations('val'))
    steps = {step['type']: step for step in dataset.pipeline}
    assert steps['PoseGuidedProposal']['model'] == str(files.proposals)
    assert steps['RandomBBoxTransform']['shift_prob'] == 0
    assert list(steps)[-2:] == ['GroundTruthWindow', 'PackSSTNInputs']
    assert config.test_evaluator == dict(type='WindowIoUMetric')


def test_trainings_include_those_that_they_continue():
    assert with_parents(['rmpe', 'jitter']) == [INITIALISATION, 'cpn', 'jitter', 'rmpe']


@pytest.mark.parametrize(
    ('seeds', 'interval', 'paper', 'expected'),
    [
        ([0.01, 0.02], (0.002, 0.03), 3.4, 'yes'),
        ([-0.01, -0.02], (-0.03, -0.002), 3.4, 'no'),
        ([-0.01, -0.02], (-0.03, -0.002), -3.4, 'yes'),
        # the images, or the seeds, do not agree
        ([0.01, 0.02], (-0.002, 0.03), 3.4, 'undecided'),
        ([-0.01, 0.05], (0.001, 0.04), 3.4, 'undecided'),
        ([0.0, 0.0], (0.0, 0.0), 3.4, 'undecided'),
        ([0.01], (0.002, 0.03), None, ''),
    ],
)
def test_agreement(seeds, interval, paper, expected):
    assert agreement(Change(seeds, interval), paper) == expected


def random_people(rng, images=8):
    """One person of four joints per image."""
    return [rng.uniform(0, 100, (1, 4, 2)) for _ in range(images)]


def detections_near(people, rng, noise):
    """Detections at a distance from the people, by both metrics."""
    poses = [gt + rng.normal(0, noise, gt.shape) for gt in people]
    lengths, no = [np.full(1, 20.0)] * len(people), [np.zeros(1, bool)] * len(people)
    joints = joint_detections(
        people, lengths, poses, [rng.random((1, 4)) for _ in poses]
    )
    oks = [
        np.exp(-np.square(gt - pose).mean((1, 2)) / 200)[:, None]
        for gt, pose in zip(people, poses, strict=True)
    ]
    scores = [rng.random(1) for _ in poses]
    return dict(AP=pose_detections(oks, scores, no, no), mAP=joints)


def test_intervals_are_those_of_one_sample_at_a_time():
    rng = np.random.default_rng(0)
    people = random_people(rng)
    rows = {
        name: [detections_near(people, rng, noise) for _ in range(2)]
        for name, noise in (('first', 8), ('worse', 20))
    }
    result = compare_rows(rows)
    assert result['first'].changes == {}
    for metric in METRICS:
        changes = []
        for weights in bootstrap_weights(8, 1000, seed=0):
            first, worse = (
                np.mean([s[metric].average_precision(weights).mean() for s in seeds])
                for seeds in rows.values()
            )
            changes.append(worse - first)
        change = result['worse'].changes[metric]
        np.testing.assert_allclose(change.interval, np.percentile(changes, (2.5, 97.5)))
        values = [np.array(row.values[metric]) for row in result.values()]
        np.testing.assert_allclose(change.seeds, values[1] - values[0])
        assert change.sign == -1
    for name, seeds in rows.items():
        expected = [seed['mAP'].correct.sum() / (8 * 4) for seed in seeds]
        np.testing.assert_allclose(result[name].recall, expected)


def test_raises_if_a_row_has_other_people():
    rng = np.random.default_rng(0)
    rows = {str(n): [detections_near(random_people(rng, n), rng, 10)] for n in (8, 7)}
    with pytest.raises(ValueError, match='must have the same images and people'):
        compare_rows(rows)


def test_change_from_an_equal_row_is_zero():
    rng = np.random.default_rng(1)
    seeds = [detections_near(random_people(rng), rng, 10)]
    result = compare_rows({'first': seeds, 'same': seeds})
    for change in result['same'].changes.values():
        assert change == ([0], (0, 0))
        assert change.sign == 0


def test_markdown_has_a_line_per_row():
    values = dict(AP=[0.3, 0.4], mAP=[0.2, 0.3])
    change = Change([-0.05, -0.1], (-0.11, -0.02))
    rows = {
        name: RowResult(values, [0.6, 0.8], dict.fromkeys(METRICS, change) if i else {})
        for i, name in enumerate(TABLES[RMPE_TABLE].rows)
    }
    window = {'window/iou_crop': 0.8, 'window/iou': 0.7, 'window/gain': -0.1}
    better = {'window/iou_crop': 0.8, 'window/iou': 0.9, 'window/gain': 0.1}
    tables = format_tables({RMPE_TABLE: rows}, {'SSTN': [window, better]})
    lines = to_markdown(tables).splitlines()
    assert len(lines) == len(rows) + 2 + 1 + 3
    assert lines[-1] == '| SSTN | 0.800 | 0.800 | -0.100, +0.100 |'
    assert lines[2] == '| full RMPE | 35.0 | 25.0 | 70.0 |  |  |  |  |'
    change_text = '-7.5 (-11.0 to -2.0)'
    expected = (
        f'| no PGPG | 35.0 | 25.0 | 70.0 | {change_text} | {change_text} | -7.8 | yes |'
    )
    assert expected in lines


def run(folder, launch, size=TINY):
    """Run all jobs of one seed; their predictions, and the ablation."""
    jobs = []

    def record(config, checkpoint, threads):
        jobs.append(config.relative_to(folder))
        return launch(config, checkpoint, threads)

    ablation = Ablation(folder, size, launch=record)
    ablation.prepare()
    with Progress(disable=True) as progress:
        ablation.run([0], progress)
    return jobs, ablation


@pytest.mark.slow
def test_trains_every_row_and_continues(tmp_path, unformatted_configs):
    jobs, ablation = run(tmp_path, launch_here)
    assert len(jobs) == len(PAPER_TRAININGS) + 2
    results = ablation.results([0])
    assert {t: list(rows) for t, rows in results.items()} == {
        title: list(table.rows) for title, table in TABLES.items()
    }
    for rows in results.values():
        for row in rows.values():
            assert all(0 <= row.values[metric][0] <= 1 for metric in METRICS)
    with Progress(disable=True) as progress:
        windows = ablation.windows([0], progress)
    assert list(windows) == list(WINDOWS)
    # The trainings are tested on the same proposals.
    (crops,) = {metrics['window/iou_crop'] for (metrics,) in windows.values()}
    assert 0.5 < crops < 1
    assert all(0 < metrics['window/iou'] < 1 for (metrics,) in windows.values())
    # Only the job without predictions runs again.
    (tmp_path / 'seed-0' / 'cpn-m6' / 'val.keypoints.json').unlink()
    again, ablation = run(tmp_path, launch_here)
    assert [str(path) for path in again] == ['seed-0/cpn-m6/val.py']
    assert (tmp_path / 'seed-0' / 'cpn-m6' / 'val.keypoints.json').exists()

    with pytest.raises(ValueError, match='belongs to a run with other settings'):
        Ablation(tmp_path, SIZES['cpu'])


def test_continues_after_an_interruption(tmp_path, unformatted_configs):
    """A job that did not return is not finished, even if it wrote its predictions."""
    files = AblationFiles(tmp_path, TINY)
    journal = tmp_path / 'journal.jsonl'
    settings = run_settings(TINY)
    prepared = [
        *(dict(images=split) for split in IMAGES),
        dict(fitted='pgpg.json'),
    ]
    journal.write_text(''.join(json.dumps(r) + '\n' for r in (settings, *prepared)))

    def stop(config, checkpoint, threads):
        predictions = files.predictions(config.parent.name, 0, config.stem)
        predictions.write_text('[]')
        if config.parent.name == 'jitter':
            raise RuntimeError('stop')
        return 1.0

    def record(config, checkpoint, threads):
        names.append(config.parent.name)
        return stop(config, checkpoint, threads)

    names = []
    with pytest.raises(RuntimeError, match='stop'):
        run(tmp_path, record)
    # only the training that continues the failed one is not started
    assert set(PAPER_TRAININGS) - set(names) == {'rmpe-jitter'}
    jobs, _ = run(tmp_path, lambda *_: 1.0)
    assert [path.parent.name for path in jobs] == ['jitter', 'rmpe-jitter']


@pytest.mark.slow
def test_detector_is_trained_and_run(tmp_path, monkeypatch, unformatted_configs):
    """It has not learnt from eight images, so its weakest boxes are kept."""
    monkeypatch.setattr('experiments.ablation.steps.SCORE_THR', 0.0)
    # Its boxes are of no use to PGPG.
    monkeypatch.setattr(
        'experiments.ablation.runner.fit_proposals',
        lambda files: files.proposals.write_text('{}'),
    )
    ablation = Ablation(tmp_path, WITH_DETECTOR, launch=launch_here)
    ablation.prepare()
    init_default_scope('mmpose')  # the detector's runner has changed it
    for split, number in IMAGES.items():
        boxes = json.loads(ablation.files.detections(split).read_text())
        assert {box['image_id'] for box in boxes} == set(range(1, number + 1))
    # Nothing is repeated.
    ablation = Ablation(tmp_path, WITH_DETECTOR, launch=lambda *_: pytest.fail())
    ablation.prepare()


@pytest.mark.slow
def test_launch_raises_with_the_end_of_the_log(tmp_path):
    config = tmp_path / 'val.py'
    config.write_text('raise ValueError("no config")')
    with pytest.raises(RuntimeError, match=r'(?s)val\.py failed, .*no config'):
        launch(config, None, threads=1)
    assert 'no config' in (tmp_path / 'val.txt').read_text()


@pytest.mark.slow
def test_launch_trains_and_tests(tmp_path):
    """The scripts of MMPose run the configs in processes of their own."""
    ablation = Ablation(tmp_path, TINY)
    ablation.prepare()
    files = ablation.files
    checkpoint = files.checkpoint(INITIALISATION, 0)
    for boxes, weights, config in (
        ('val', None, build_training_config(files, INITIALISATION, 0)),
        ('gt', checkpoint, build_test_config(files, INITIALISATION, 0, 'gt')),
    ):
        path = files.config(INITIALISATION, 0, boxes)
        path.parent.mkdir(parents=True, exist_ok=True)
        config.dump(path)
        assert launch(path, weights, threads=1) > 0
        assert json.loads(files.predictions(INITIALISATION, 0, boxes).read_text())
        assert 'coco/AP' in path.with_suffix('.txt').read_text()
