# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from rich.progress import Progress

from rmpe_plugin.learning.ablation import (
    SIZES,
    TABLES,
    TRAININGS,
    Ablation,
    AblationFiles,
    agreement,
    build_test_config,
    build_training_config,
    launch,
    to_markdown,
)

TINY = replace(SIZES['tiny'], images=dict(train=4, tune=6, val=2), jobs=1)


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


@pytest.mark.parametrize('name', TRAININGS)
def test_trainings_have_the_same_precision_and_layout(files, name):
    config = build_training_config(files, name, 0)
    assert config.optim_wrapper.precision == 'float32'
    hooks = [hook['type'] for hook in config.custom_hooks]
    assert hooks.count('ChannelsLastHook') == 1


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
        ('no-sstn', ('model.', 'custom_hooks.')),
    ],
)
def test_sstn_trainings_differ_only_in_the_model(files, name, prefixes):
    paths = differing_trainings(files, 'rmpe', name)
    assert paths
    assert all(path.startswith(prefixes) for path in paths), paths


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


def test_every_training_is_used():
    rows = {row.training for table in TABLES.values() for row in table.values()}
    stage1 = {training.after for training in TRAININGS.values()} - {None}
    assert rows | stage1 == set(TRAININGS)


@pytest.mark.parametrize(
    ('changes', 'paper', 'expected'),
    [
        ([0.01, 0.02], 3.4, 'yes'),
        ([-0.01, -0.02], 3.4, 'no'),
        ([-0.01, -0.02], -3.4, 'yes'),
        ([-0.01, 0.02], 3.4, 'seeds differ'),
        ([0.0, 0.0], 3.4, 'seeds differ'),
        ([0.01], 3.4, 'yes'),
        ([0.01], None, ''),
    ],
)
def test_agreement(changes, paper, expected):
    assert agreement(np.array(changes), paper) == expected


def test_markdown_has_a_line_per_row():
    rng = np.random.default_rng(0)
    results = {
        title: {row: rng.uniform(0.1, 0.2, 2).tolist() for row in rows}
        for title, rows in TABLES.items()
    }
    title = next(iter(results))
    results[title].update({'full RMPE': [0.2, 0.3], 'no PGPG': [0.1, 0.25]})
    text = to_markdown(results)
    expected = '| no PGPG | 0.1750 | 0.1000, 0.2500 | -0.0750 | -7.8 | yes |'
    assert expected in text.splitlines()


def launch_here(config, checkpoint, threads):
    """Train or test in this process, which has imported everything."""
    settings = Config.fromfile(config)
    settings.work_dir = str(config.parent)
    settings.experiment_name = f'{config.parent.name}-{config.stem}'
    if checkpoint is None:
        Runner.from_cfg(settings).train()
    else:
        settings.load_from = str(checkpoint)
        Runner.from_cfg(settings).test()


def run(folder, launch, size=TINY):
    """Run all jobs of one seed; their predictions, and the ablation."""
    jobs = []

    def record(config, checkpoint, threads):
        jobs.append(config.relative_to(folder))
        launch(config, checkpoint, threads)

    ablation = Ablation(folder, size, launch=record)
    ablation.prepare()
    with Progress(disable=True) as progress:
        ablation.run([0], progress)
    return jobs, ablation


@pytest.mark.slow
def test_trains_every_row_and_continues(tmp_path, unformatted_configs):
    jobs, ablation = run(tmp_path, launch_here)
    assert len(jobs) == len(TRAININGS) + 2
    results = ablation.results([0])
    assert {t: list(rows) for t, rows in results.items()} == {
        title: list(rows) for title, rows in TABLES.items()
    }
    assert all(
        0 <= ap <= 1 for rows in results.values() for aps in rows.values() for ap in aps
    )
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
    settings = asdict(TINY)
    prepared = [dict(crowd='train'), dict(crowd='tune'), dict(crowd='val'),
                dict(fitted='pgpg.json')]  # fmt: skip
    journal.write_text(''.join(json.dumps(r) + '\n' for r in (settings, *prepared)))

    def stop(config, checkpoint, threads):
        predictions = files.predictions(config.parent.name, 0, config.stem)
        predictions.write_text('[]')
        if config.parent.name == 'jitter':
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        run(tmp_path, stop)
    jobs, _ = run(tmp_path, lambda *_: None)
    names = [path.parent.name for path in jobs]
    assert 'cpn' not in names
    assert 'jitter' in names


@pytest.mark.slow
def test_launch_raises_with_the_end_of_the_log(tmp_path):
    config = tmp_path / 'val.py'
    config.write_text('raise ValueError("no config")')
    with pytest.raises(RuntimeError, match=r'(?s)train\.py failed, .*no config'):
        launch(config, None, threads=1)
    assert 'no config' in (tmp_path / 'val.txt').read_text()


@pytest.mark.slow
def test_launch_trains_and_tests(tmp_path):
    """The scripts of MMPose run the configs in processes of their own."""
    ablation = Ablation(tmp_path, TINY)
    ablation.prepare()
    files = ablation.files
    for boxes, checkpoint, config in (
        ('val', None, build_training_config(files, 'cpn', 0)),
        ('gt', files.checkpoint('cpn', 0), build_test_config(files, 'cpn', 0, 'gt')),
    ):
        path = files.config('cpn', 0, boxes)
        path.parent.mkdir(parents=True, exist_ok=True)
        config.dump(path)
        launch(path, checkpoint, threads=1)
        assert json.loads(files.predictions('cpn', 0, boxes).read_text())
        assert 'coco/AP' in path.with_suffix('.txt').read_text()
