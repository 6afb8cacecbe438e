# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from rmpe_plugin.fitting.evaluation_split import EvaluationSplit
from rmpe_plugin.fitting.nms_comparison import compare_methods
from rmpe_plugin.fitting.nms_methods import no_nms, oks_methods
from rmpe_plugin.fitting.nms_search import (
    SEARCHED,
    Trials,
    method_evaluation,
    normalized_start,
    search_parameters,
    search_settings,
)
from rmpe_plugin.ops import PoseNMSParams

POINT = dict(sigma1=0.01, sigma2=2.0, lambda_=2.0, eta=1.5)


@pytest.fixture(scope='module')
def starts():
    names = ('rmpe-paper', 'rmpe-mpii')
    return {name: normalized_start(PoseNMSParams.preset(name), 17) for name in names}


@pytest.fixture(scope='module')
def splits(predicted_crowd):
    return EvaluationSplit.from_files(*predicted_crowd[:2]).divide(0.25, seed=0)


def search(splits, starts, path):
    """Search in this process; the result and the number of trials."""
    trials = Trials(path, dict(seed=0))
    with method_evaluation(splits[0], workers=1) as evaluate:
        return search_parameters(starts, evaluate, trials), len(trials)


@pytest.fixture(scope='module')
def searched(splits, starts, tmp_path_factory):
    """A finished search: its result and journal."""
    path = tmp_path_factory.mktemp('search') / 'journal.jsonl'
    return search(splits, starts, path)[0], path


def test_normalized_start_divides_eta():
    paper = PoseNMSParams.preset('rmpe-paper')
    params = normalized_start(paper, 17)
    assert params.normalize
    assert params.eta == paper.eta / 17
    assert normalized_start(params, 17) == params
    # eta is for at least 16 keypoints.
    assert normalized_start(paper, 4).eta == paper.eta / 16


def test_search_finds_the_best_trial(searched, splits):
    result, path = searched
    settings, *trials = map(json.loads, path.read_text().splitlines())
    assert settings == dict(seed=0)
    assert {trial['start'] for trial in trials} == {'rmpe-paper', 'rmpe-mpii'}
    best = max(trial['AP'] for trial in trials)
    at_best = [t for t in trials if np.isclose(t['eta'], result.params.eta, rtol=1e-6)]
    assert max(t['AP'] for t in at_best) > best - 1e-4
    assert result.ap > best - 1e-4
    assert result.ap > splits[0].score(no_nms(splits[0]))
    for sweep in result.sweeps.values():
        assert max(sweep.values) <= best


def test_search_continues_after_an_interruption(searched, splits, starts, tmp_path):
    result, journal = searched
    lines = journal.read_text().splitlines()
    # The process was killed while it wrote a trial, 40 before the last one.
    path = tmp_path / 'journal.jsonl'
    path.write_text('\n'.join(lines[:-40]) + '\n' + lines[-40][:20])
    again, number = search(splits, starts, path)
    assert path.read_text() == journal.read_text()
    assert number == len(lines) - 1
    assert again.params == result.params
    assert again.start == result.start


def test_finished_search_evaluates_nothing(searched, starts):
    def evaluate(methods):
        assert not list(methods)
        return []

    result, journal = searched
    trials = Trials(journal, dict(seed=0))
    again = search_parameters(starts, evaluate, trials)
    assert again.params == result.params


def test_trials_are_identified_by_nine_digits(tmp_path):
    trials = Trials(tmp_path / 'journal.jsonl', {})
    trials.add('a', POINT, 0.5)
    trials.add('a', dict(POINT, eta=3.0), 0.75)
    assert trials.get('a', dict(POINT, sigma2=2.0 * (1 + 1e-12))) == 0.5
    assert trials.get('a', dict(POINT, sigma2=2.001)) is None
    assert trials.get('b', POINT) is None
    assert trials.best('a') == 0.75
    reopened = Trials(tmp_path / 'journal.jsonl', {})
    assert len(reopened) == 2
    assert reopened.get('a', POINT) == 0.5


def test_raises_on_trials_of_another_search(searched):
    with pytest.raises(ValueError, match='belongs to a run with other settings'):
        Trials(searched[1], dict(seed=1))


def test_settings_depend_on_everything(predicted_crowd, starts, tmp_path):
    pred, ann, _ = predicted_crowd
    other = tmp_path / 'other.json'
    other.write_text('[]')
    arguments = [
        (pred, ann, starts, 0.5, 0),
        (other, ann, starts, 0.5, 0),
        (pred, other, starts, 0.5, 0),
        (pred, ann, dict(list(starts.items())[:1]), 0.5, 0),
        (pred, ann, starts, 0.6, 0),
        (pred, ann, starts, 0.5, 1),
    ]
    settings = [json.dumps(search_settings(*a)) for a in arguments]
    assert len(set(settings)) == len(settings)
    assert json.dumps(search_settings(*arguments[0])) == settings[0]


@pytest.mark.slow
def test_worker_processes_compute_the_same(splits):
    methods = [no_nms, *oks_methods('OKS-NMS').values()]
    aps = []
    for workers in (1, 2):
        with method_evaluation(splits[0], workers) as evaluate:
            aps.append(list(evaluate(methods)))
    assert aps[0] == aps[1]


def test_comparison_has_a_row_per_method(splits, searched):
    result, _ = searched
    with method_evaluation(splits[0], workers=1) as evaluate:
        scores = compare_methods(evaluate, splits[1], result.params)
    rows = list(scores)
    assert rows[0] == 'no NMS'
    assert rows[-4:] == ['rmpe-paper', 'rmpe-mpii', 'alphapose-coco', 'learned']
    assert "OKS-NMS 0.9 (MMPose's default)" in rows
    assert sum('(best of 7)' in row for row in rows) == 2
    assert scores['no NMS'].num_kept == splits[1].num_predictions
    assert scores['learned'].fit_ap == pytest.approx(result.ap, abs=1e-9)
    assert scores['learned'].fit_ap >= max(s.fit_ap for s in scores.values()) - 0.05


def test_searched_parameters_are_positive(searched):
    assert min(getattr(searched[0].params, name) for name in SEARCHED) > 0
