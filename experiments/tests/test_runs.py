# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from experiments.comparison import experiment_name, run_comparison
from experiments.runs import mean_metrics, run_missing
from rmpe_plugin.utils.files import ResumeJournal


def test_runs_only_missing_experiments(tmp_path):
    runs = []

    def run(variant, seed):
        runs.append((variant, seed))
        if variant == 'fails':
            raise RuntimeError('stop')
        return dict(AP=seed / 10)

    def keys(*variants):
        return [dict(variant=v, seed=seed) for v in variants for seed in (1, 2)]

    path = tmp_path / 'journal.jsonl'
    journal = ResumeJournal(path, {})
    with pytest.raises(RuntimeError, match='stop'):
        run_missing(journal, keys('a', 'fails'), run)
    journal.close()
    assert runs == [('a', 1), ('a', 2), ('fails', 1)]

    journal = ResumeJournal(path, {})
    results = run_missing(journal, keys('b', 'a'), run)
    assert results == [dict(AP=0.1), dict(AP=0.2)] * 2
    assert runs[3:] == [('b', 1), ('b', 2)]
    assert journal.records[0] == dict(variant='a', seed=1, results=dict(AP=0.1))


def test_tracks_missing_experiments(tmp_path):
    tracked = []

    def track(keys):
        tracked.extend(keys)
        return iter(keys)

    journal = ResumeJournal(tmp_path / 'journal.jsonl', {})
    for variants in (('a',), ('a', 'b')):
        keys = [dict(variant=v) for v in variants]
        run_missing(journal, keys, lambda variant: {}, track)
    assert tracked == [dict(variant='a'), dict(variant='b')]


def test_means():
    assert mean_metrics([dict(a=1.0, b=0.0), dict(a=2.0, b=1.0)]) == dict(a=1.5, b=0.5)


def test_comparison_groups_by_variant_and_keeps_other_results(tmp_path):
    def run(variant, seed):
        return dict(AP=seed + len(variant))

    keys = [dict(variant=v, seed=seed) for seed in (0, 1) for v in ('b', 'aa')]
    runs = run_comparison(tmp_path, dict(epochs=2), keys, run)
    assert runs == dict(b=[dict(AP=1), dict(AP=2)], aa=[dict(AP=2), dict(AP=3)])
    # a part of them; the file lists all
    assert run_comparison(tmp_path, dict(epochs=2), keys[:1], run) == dict(
        b=[dict(AP=1)]
    )
    records = json.loads((tmp_path / 'results.json').read_text())
    assert [dict(variant=r['variant'], seed=r['seed']) for r in records] == keys
    with pytest.raises(SystemExit, match='other settings'):
        run_comparison(tmp_path, dict(epochs=3), keys, run)
    assert experiment_name('PGPG, single mixture', 0) == 'PGPG-single-mixture-0'
