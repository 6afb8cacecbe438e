# SPDX-License-Identifier: Apache-2.0
"""Rows that differ in what they say alone, and the tables made of them."""

import json
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, load_module, run_tool

sys.path.append(str(ROOT / 'tools'))
tool = load_module(ROOT / 'tools' / 'ablation.py')


@pytest.fixture(scope='module')
def benchmark(tmp_path_factory):
    """The benchmark, with nothing in it."""
    return tool.Benchmark(tmp_path_factory.mktemp('bench'), tool.SIZES['tiny'], jobs=1)


def flat(value, path=()):
    """A config's leaves by their paths."""
    if isinstance(value, dict):
        return {
            k: v for key in value for k, v in flat(value[key], (*path, key)).items()
        }
    if isinstance(value, (list, tuple)) and any(isinstance(x, dict) for x in value):
        return {
            k: v for i, x in enumerate(value) for k, v in flat(x, (*path, i)).items()
        }
    return {path: value}


def differing(benchmark, name, other, seed=0):
    """Where the configs of two trainings differ, but for their folders."""
    a, b = (flat(benchmark.config(n, seed).to_dict()) for n in (name, other))
    return {
        '.'.join(map(str, path))
        for path in a.keys() | b.keys()
        if a.get(path) != b.get(path)
    }


@pytest.mark.parametrize('m', [6, 10, 12, 14])
def test_rows_of_cpn_differ_in_m_alone(benchmark, m):
    assert differing(benchmark, 'cpn', f'cpn-m{m}') == {'model.head.loss.topk'}
    assert benchmark.config(f'cpn-m{m}', 0).model.head.loss.topk == m


def test_other_rows_of_cpn_differ_in_the_head_alone(benchmark):
    for name in ('cpn-global', 'cpn-l2'):
        found = differing(benchmark, 'cpn', name)
        assert found
        assert all(path.startswith('model.head.') for path in found), found
    # a second time: the table's own entries were not used up
    assert benchmark.config('cpn-l2', 1).model.head.loss.type == 'KeypointMSELoss'
    assert 'topk' not in benchmark.config('cpn-l2', 1).model.head.loss
    assert benchmark.config('cpn-global', 0).model.head.refine_net is None


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('no-parallel', ('model.parallel', 'custom_hooks.')),
        ('no-sstn', ('model.', 'custom_hooks.')),
    ],
)
def test_rows_of_the_sstn_differ_in_the_model_alone(benchmark, name, parts):
    found = differing(benchmark, 'rmpe', name)
    assert found
    assert all(path.startswith(parts) for path in found), found


def test_rows_of_pgpg_differ_in_boxes_alone(benchmark):
    steps = {}
    for name in ('rmpe', 'rmpe-true', 'rmpe-jitter'):
        config = benchmark.config(name, 0)
        pipeline = {t['type']: t for t in config.train_dataloader.dataset.pipeline}
        proposal = pipeline.pop('PoseGuidedProposal', None)
        jitter = pipeline.pop('RandomBBoxTransform')
        steps[name] = proposal is not None, jitter['shift_prob'] > 0
        assert jitter['rotate_prob'] == 0
        assert config.model.type == 'SSTNPoseEstimator'
        before = {'rmpe': 'cpn', 'rmpe-true': 'true', 'rmpe-jitter': 'jitter'}[name]
        assert config.load_from == str(benchmark.checkpoint(before, 0))
    assert steps == {
        'rmpe': (True, False),
        'rmpe-true': (False, False),
        'rmpe-jitter': (False, True),
    }


def test_every_training_is_of_a_row_and_every_row_of_a_training():
    rows = {row.training for table in tool.TABLES.values() for row in table.values()}
    first = {training.after for training in tool.TRAININGS.values()} - {None}
    assert rows | first == set(tool.TRAININGS)


@pytest.mark.parametrize(
    ('change', 'paper', 'said'),
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
def test_directions(change, paper, said):
    assert tool.verdict(np.array(change), paper) == said


def test_tables_and_picture(tmp_path):
    rng = np.random.default_rng(0)
    results = {
        title: {row: rng.uniform(0.1, 0.2, 2).tolist() for row in rows}
        for title, rows in tool.TABLES.items()
    }
    title = next(iter(results))
    results[title].update({'full RMPE': [0.2, 0.3], 'without PGPG': [0.1, 0.25]})
    text = tool.to_markdown(results)
    wanted = '| without PGPG | 0.1750 | 0.1000, 0.2500 | -0.0750 | -7.8 | yes |'
    assert wanted in text.splitlines()
    tool.draw(results, tmp_path / 'ablation.png')
    assert (tmp_path / 'ablation.png').stat().st_size > 10_000


def test_wrong_arguments_say_what_is_wrong(tmp_path):
    for arguments, message in (
        (('--seeds', 1, 1), '--seeds must differ'),
        (('--jobs', 0), '--jobs must be at least 1, got 0'),
        (('--size', 'huge'), "'cpu', 'gpu', 'tiny'"),
    ):
        result = run_tool(
            'ablation.py', *arguments, '--work-dir', tmp_path, check=False
        )
        assert result.returncode == 2
        assert message in result.stderr


@pytest.mark.slow
def test_runs_goes_on_and_refuses_what_is_of_another_size(tmp_path):
    arguments = ('ablation.py', '--size', 'tiny', '--seeds', 0, '--work-dir', tmp_path)
    run_tool(*arguments)
    found = json.loads((tmp_path / 'results.json').read_text())
    assert {t: list(rows) for t, rows in found['AP'].items()} == {
        title: list(rows) for title, rows in tool.TABLES.items()
    }
    assert all(
        0 <= ap <= 1
        for rows in found['AP'].values()
        for row in rows.values()
        for ap in row
    )
    # one row is missing: the others are not trained again
    (tmp_path / 'seed-0' / 'cpn-m6' / 'val.json').unlink()
    kept = tmp_path / 'seed-0' / 'cpn' / 'val.json'
    before = kept.stat().st_mtime_ns
    run_tool(*arguments)
    assert kept.stat().st_mtime_ns == before
    assert (tmp_path / 'seed-0' / 'cpn-m6' / 'val.json').exists()
    result = run_tool(
        'ablation.py', '--size', 'cpu', '--work-dir', tmp_path, check=False
    )
    assert 'holds results of other arguments' in result.stderr
