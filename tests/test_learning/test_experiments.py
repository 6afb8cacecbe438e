# SPDX-License-Identifier: Apache-2.0
import pytest

from rmpe_plugin.learning.experiments import mean_metrics, run_missing
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
