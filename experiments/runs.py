# SPDX-License-Identifier: Apache-2.0
"""Run variants of a training, and continue after an interruption."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

from rmpe_plugin.utils.files import ResumeJournal


def train(config: Config) -> Runner:
    """Train with a config, or continue a training that was interrupted.

    Args:
        config (Config): Config of a training with ``work_dir``.

    Returns:
        Runner: The runner. It has not validated the model.
    """
    # The caller validates, also after an interruption in the validation.
    config.train_cfg.val_begin = config.train_cfg.max_epochs + 1
    # MMEngine resumes from load_from, if it is set, instead of work_dir.
    if (last := find_latest_checkpoint(config.work_dir)) is not None:
        config.merge_from_dict(dict(load_from=last, resume=True))
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def train_and_evaluate(config: Config) -> tuple[dict, dict]:
    """Train with a config, then evaluate on both of its evaluation data sets.

    Args:
        config (Config): See :func:`train`.

    Returns:
        tuple[dict, dict]: Metrics on the validation and on the test data set.
    """
    runner = train(config)
    return runner.val(), runner.test()


def run_missing(
    journal: ResumeJournal,
    keys: Sequence[dict],
    run: Callable[..., dict],
    track: Callable[[Sequence], Iterable] = iter,
) -> list[dict]:
    """Run the experiments that are not in a journal, and add them to it.

    Args:
        journal (ResumeJournal): Finished experiments.
        keys (Sequence[dict]): What identifies each experiment: keyword arguments of
            ``run``, JSON types only.
        run (Callable): Runs one experiment and returns its results, JSON types only.
        track (Callable): Wraps the sequence of missing experiments, to show progress.
            Defaults to ``iter``.

    Returns:
        list[dict]: Results in the order of ``keys``.
    """
    for key in track([key for key in keys if _results(journal, key) is None]):
        journal.append(dict(key, results=run(**key)))
    return [results for key in keys if (results := _results(journal, key)) is not None]


def mean_metrics(runs: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over the seeds.

    Args:
        runs (list[dict[str, float]]): Metrics of each seed.

    Returns:
        dict[str, float]: Means.
    """
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def _results(journal: ResumeJournal, key: dict) -> dict | None:
    """Results of an experiment, if it is finished."""
    for record in journal.records:
        if {name: record[name] for name in key} == key:
            return record['results']
    return None
