# SPDX-License-Identifier: Apache-2.0
"""What runs the workers of a job: Ray, or a process without Ray.

An engine takes units and gives their results in any order. A unit whose worker dies has
no result.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rmpe_plugin.deploy.requirements import require

from .units import Unit
from .worker import PoseWorker, UnitResult

if TYPE_CHECKING:
    import ray

MakeWorker = Callable[[], PoseWorker]
# Ray's smallest object store, bytes. Inputs and results of tasks are small.
_STORE = 80 * 1024 * 1024
# Seconds in which a cluster must answer.
_TIMEOUT = 30


class Engine(AbstractContextManager, ABC):
    """Runs workers, in a ``with`` statement.

    Attributes:
        workers (int): Number of workers.
    """

    workers = 1

    @abstractmethod
    def run(self, units: list[Unit], make_worker: MakeWorker) -> Iterator[UnitResult]:
        """Process units.

        Args:
            units (list[Unit]): The units, which start in this order.
            make_worker (Callable): Makes a worker, in its process.

        Yields:
            UnitResult: Result of a unit, in any order. A unit whose worker dies has
            none.

        Raises:
            BrokenExecutor: If no worker can be started.
        """

    def __exit__(self, *error: object) -> None:
        """End the workers."""


class ProcessEngine(Engine):
    """One worker in a process of its own, which is started again if it dies."""

    def run(self, units: list[Unit], make_worker: MakeWorker) -> Iterator[UnitResult]:
        """Process units, see :class:`Engine`."""
        left = iter(units)
        finished = False
        while not finished:
            with ProcessPoolExecutor(1, get_context('spawn')) as pool:
                pool.submit(_start, make_worker).result()
                try:
                    for unit in left:
                        yield pool.submit(_process, unit).result()
                    finished = True
                except BrokenProcessPool:
                    pass  # the job asks again for what has no result


class RayEngine(Engine):
    """Workers in actors of Ray Data.

    Args:
        address (str, optional): Address of a cluster, ``'HOST:PORT'`` or ``'auto'``.
            Defaults to ``None``: Ray is started on this machine.
        workers (int, optional): Number of workers. Defaults to ``None``: as many as fit
            on the GPUs; without GPUs, one per two cores.
        gpus_per_worker (float, optional): Share of a GPU. Defaults to ``None``: 1 if
            there are GPUs, otherwise 0.

    Raises:
        ConnectionError: If there is no cluster at the address.
        ImportError: If Ray is not installed.
        ValueError: If the cluster has no room for so many workers.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        gpus_per_worker: float | None = None,
    ) -> None:
        require('ray', 'pyarrow', extra='scale')
        self.address, self.gpus_per_worker = address, gpus_per_worker
        self._workers = workers
        self._is_own = False

    def __enter__(self) -> RayEngine:
        """Start Ray, or connect to the cluster."""
        import ray

        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
        # Dead workers are expected; Ray would print a page about each.
        os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
        self._is_own = not ray.is_initialized()
        if self._is_own:
            _connect(self.address, self._workers)
        self._plan_workers()
        return self

    def __exit__(self, *error: object) -> None:
        """End Ray, if it was started or connected here."""
        import ray

        if self._is_own:
            ray.shutdown()

    def _plan_workers(self) -> None:
        """Compare the workers with the resources of the cluster."""
        import ray

        resources = ray.cluster_resources()
        gpus, cpus = resources.get('GPU', 0), resources.get('CPU', 0)
        if self.gpus_per_worker is None:
            self.gpus_per_worker = 1 if gpus else 0
        share = self.gpus_per_worker
        room = int(gpus / share) if share else int(cpus)
        self.workers = self._workers or (room if share else max(1, room // 2))
        if self.workers > room:
            raise ValueError(
                f'{self.workers} workers with {share} GPUs each do not fit into a '
                f'cluster of {gpus:g} GPUs and {cpus:g} CPUs, which has room for {room}'
            )

    def run(self, units: list[Unit], make_worker: MakeWorker) -> Iterator[UnitResult]:
        """Process units, see :class:`Engine`."""
        import ray

        try:
            for row in self._results(units, make_worker).iter_rows():
                yield UnitResult(**json.loads(row['result']))
        except ray.exceptions.RayError as error:
            raise BrokenExecutor(f'no worker can be started: {error}') from error

    def _results(self, units: list[Unit], make_worker: MakeWorker) -> ray.data.Dataset:
        """The results as a data set, which is computed when it is read."""
        import pyarrow as pa
        from ray.data import ActorPoolStrategy, DataContext, from_arrow

        logging.getLogger('ray.data').setLevel(logging.CRITICAL)
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # The job asks again for what has no result.
        context.max_errored_blocks = -1
        # A block is one unit, so that none waits behind another one.
        blocks = [pa.table({'unit': [unit.to_json()]}) for unit in units]
        with DataContext.current(context), warnings.catch_warnings():
            # Ray 2.64 is to drop these arguments; the extra has an older one.
            warnings.simplefilter('ignore', DeprecationWarning)
            return from_arrow(blocks).map_batches(
                _Actor,
                fn_constructor_args=(make_worker,),
                batch_size=1,
                compute=ActorPoolStrategy(
                    size=min(self.workers, len(units)), max_tasks_in_flight_per_actor=1
                ),
                num_cpus=0 if self.gpus_per_worker else 1,
                num_gpus=self.gpus_per_worker,
                # An input that ends its worker would end it again for ever.
                max_restarts=-1,
                max_task_retries=0,
            )


class _Actor:
    """A worker as Ray Data calls it."""

    def __init__(self, make_worker: MakeWorker) -> None:
        self.worker = make_worker()

    def __call__(self, batch: dict) -> dict:
        """Process the units of a batch."""
        results = [self.worker.process(Unit.from_json(unit)) for unit in batch['unit']]
        return {'result': [json.dumps(asdict(result)) for result in results]}


def _connect(address: str | None, workers: int | None) -> None:
    """Start Ray on this machine, or connect to a cluster."""
    import ray

    quiet = dict(log_to_driver=False, logging_level=logging.ERROR)
    if address is None:
        number = None if workers is None else max(workers, os.cpu_count() or 1)
        ray.init(
            'local',
            num_cpus=number,
            include_dashboard=False,
            object_store_memory=_STORE,
            **quiet,
        )
        return
    try:
        if address != 'auto':
            _reach(address)
        ray.init(address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConnectionError(f'no Ray cluster at {address}: {error}') from error


def _reach(address: str) -> None:
    """Raise an OSError if nothing answers; Ray would try for many minutes."""
    parts = urlsplit(address if '://' in address else f'ray://{address}')
    if not (parts.hostname and parts.port):
        raise ValueError("it must be 'auto' or HOST:PORT")
    socket.create_connection((parts.hostname, parts.port), _TIMEOUT).close()


_worker: PoseWorker | None = None


def _start(make_worker: MakeWorker) -> None:
    """Load the worker of this process."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = make_worker()


def _process(unit: Unit) -> UnitResult:
    """Process a unit in this process."""
    return _worker.process(unit)


def _end_with_parent() -> None:
    """End this process when its parent was killed; the pool would wait for ever."""
    parent_process().join()
    os._exit(1)
