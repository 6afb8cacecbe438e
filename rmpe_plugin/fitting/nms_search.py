# SPDX-License-Identifier: Apache-2.0
"""Search the parameters of pose NMS that maximise AP or mAP (RMPE, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import Progress, TaskID

from rmpe_plugin.ops import PoseNMSParams, alternating_search
from rmpe_plugin.ops.rmpe.alternating_search import Sweep
from rmpe_plugin.utils.files import ResumeJournal, file_digest

from .evaluation_split import EvaluationSplit
from .nms_methods import Method, parametric_nms

SEARCHED = ('sigma1', 'sigma2', 'lambda_', 'eta')
DEFAULT_STARTS = ('rmpe-paper', 'rmpe-mpii')

# Computes the AP of methods, lazily and in order.
Evaluate = Callable[[Iterable[Method]], Iterable[float]]

# The split of a worker process; only methods and numbers pass between processes.
_worker_split: EvaluationSplit


class SearchResult(NamedTuple):
    """Result of a search.

    Attributes:
        start (str): Name of the start.
        ap (float): AP on the fitting split.
        params (PoseNMSParams): The parameters.
        sweeps (dict[tuple[str, str], Sweep]): The last sweep over each pair.
    """

    start: str
    ap: float
    params: PoseNMSParams
    sweeps: dict[tuple[str, str], Sweep]


class Trials:
    """AP of the points that were evaluated, kept in a resume journal.

    Args:
        path (str | Path): The journal.
        settings (dict): What the AP depends on, see :func:`search_settings`.

    Raises:
        ValueError: If the journal belongs to a search with other settings.
    """

    def __init__(self, path: str | Path, settings: dict) -> None:
        self._journal = ResumeJournal(path, settings)
        self._aps = {
            self._key(record['start'], record): record['AP']
            for record in self._journal.records
        }

    def __len__(self) -> int:
        return len(self._aps)

    def get(self, start: str, point: dict[str, float]) -> float | None:
        """Look up a trial.

        Args:
            start (str): Name of the start.
            point (dict[str, float]): Values of the searched parameters.

        Returns:
            float | None: Its AP, ``None`` if it was not evaluated.
        """
        return self._aps.get(self._key(start, point))

    def add(self, start: str, point: dict[str, float], ap: float) -> None:
        """Add a trial and write it to the journal.

        Args:
            start (str): Name of the start.
            point (dict[str, float]): Values of the searched parameters.
            ap (float): Its AP.
        """
        key = self._key(start, point)
        self._aps[key] = ap
        values = dict(zip(('start', *SEARCHED), key, strict=True))
        self._journal.append(dict(values, AP=ap))

    def best(self, start: str) -> float:
        """Look up the highest AP.

        Args:
            start (str): Name of the start.

        Returns:
            float: The highest AP of its trials.
        """
        return max(ap for key, ap in self._aps.items() if key[0] == start)

    @staticmethod
    def _key(start: str, point: dict[str, float]) -> tuple:
        """Identify a point by nine digits: the last ones depend on the search path."""
        return start, *(float(f'{point[name]:.9g}') for name in SEARCHED)


def search_settings(
    pred: str | Path,
    ann: str | Path,
    starts: dict[str, PoseNMSParams],
    fit_share: float,
    seed: int,
    metric: str = 'AP',
    reference: str | None = None,
    metainfo: str | None = None,
) -> dict:
    """Describe what the trials of a search depend on.

    Args:
        pred (str | Path): File of the predictions.
        ann (str | Path): File of the annotations.
        starts (dict[str, PoseNMSParams]): Parameters to start from.
        fit_share (float): Share of the images in the fitting split.
        seed (int): Seed of the split.
        metric (str): Metric that is maximised. Defaults to ``'AP'``.
        reference (str, optional): Reference length of the metric. Defaults to ``None``.
        metainfo (str, optional): Description of the keypoints. Defaults to ``None``.

    Returns:
        dict: Settings of a resume journal.
    """
    return dict(
        pred=file_digest(pred),
        ann=file_digest(ann),
        starts={name: asdict(params) for name, params in starts.items()},
        fit_share=fit_share,
        seed=seed,
        metric=metric,
        reference=reference,
        metainfo=metainfo,
    )


def normalized_start(params: PoseNMSParams, num_keypoints: int) -> PoseNMSParams:
    """Normalise parameters by the number of keypoints, if they are not.

    The learned parameters can then be used with other numbers of keypoints.

    Args:
        params (PoseNMSParams): Parameters for ``num_keypoints``.
        num_keypoints (int): K.

    Returns:
        PoseNMSParams: Equivalent parameters with ``normalize``.
    """
    if params.normalize:
        return params
    eta = params.for_keypoints(num_keypoints).eta / num_keypoints
    return replace(params, eta=eta, normalize=True)


@contextmanager
def method_evaluation(split: EvaluationSplit, workers: int) -> Iterator[Evaluate]:
    """Evaluate methods on one split in worker processes.

    Args:
        split (EvaluationSplit): The split; copied to every process.
        workers (int): Number of processes; with 1 the calling process is used.

    Yields:
        Callable: Function that returns an iterator over the AP of some methods.
    """
    if workers == 1:
        yield partial(map, lambda method: split.score(method(split)))
        return
    with ProcessPoolExecutor(
        workers, get_context('spawn'), _start_worker, (split,)
    ) as pool:
        yield partial(pool.map, _evaluate_in_worker)


def search_parameters(
    starts: dict[str, PoseNMSParams],
    evaluate: Evaluate,
    trials: Trials,
    progress: Progress | None = None,
) -> SearchResult:
    """Search from several starts, see :func:`rmpe_plugin.ops.rmpe.alternating_search`.

    Args:
        starts (dict[str, PoseNMSParams]): Parameters to start from, by name. All but
            :data:`SEARCHED` stay unchanged.
        evaluate (Callable): See :func:`method_evaluation`.
        trials (Trials): Finished trials, which are not evaluated again.
        progress (Progress, optional): Gets a task for each start. Defaults to ``None``.

    Returns:
        SearchResult: The result with the highest AP.
    """
    progress = progress or Progress(disable=True)
    results = []
    for name, start in starts.items():
        task = progress.add_task(f'from {name}', total=0)
        sweep = partial(_sweep, name, start, evaluate, trials, progress, task)
        values = {parameter: getattr(start, parameter) for parameter in SEARCHED}
        best, ap, sweeps = alternating_search(sweep, values)
        results.append(SearchResult(name, ap, replace(start, **best), sweeps))
    return max(results, key=lambda result: result.ap)


def _sweep(
    name: str,
    start: PoseNMSParams,
    evaluate: Evaluate,
    trials: Trials,
    progress: Progress,
    task: TaskID,
    pair: tuple[str, str],
    points: Sequence[dict[str, float]],
) -> list[float]:
    """AP of the points of a sweep over a pair of parameters."""
    new = [point for point in points if trials.get(name, point) is None]
    title = f'from {name}: {" and ".join(pair)}'
    total = progress.tasks[task].total or 0
    progress.update(task, total=total + len(new), description=title)
    methods = [partial(parametric_nms, params=replace(start, **p)) for p in new]
    for point, ap in zip(new, evaluate(methods), strict=True):
        trials.add(name, point, ap)
        description = f'{title}, best AP {trials.best(name):.4f}'
        progress.update(task, advance=1, description=description)
    return [trials.get(name, point) for point in points]


def _start_worker(split: EvaluationSplit) -> None:
    """Keep the split in this process."""
    global _worker_split
    _worker_split = split
    torch.set_num_threads(1)


def _evaluate_in_worker(method: Method) -> float:
    """AP of a method on the split of this process."""
    return _worker_split.score(method(_worker_split))
