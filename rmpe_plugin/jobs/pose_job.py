# SPDX-License-Identifier: Apache-2.0
"""Poses of many images and videos, in a folder of Parquet files."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mmengine.structures import InstanceData

from rmpe_plugin.version import __version__

from .engines import Engine, RayEngine
from .items import Inputs, Item, find_items, share_of
from .output import Done, Failure, Output
from .pose_model import PoseModel
from .schema import FrameRows
from .units import Unit, make_units, part_size
from .worker import PoseWorker, UnitResult

# In place of a number of images: an input that no other one accompanies.
_ALONE = 0
_DIED = 'the process that read it ended (a crash, or too little memory), several times'


@dataclass
class JobProgress:
    """Counts of a job.

    Attributes:
        total (int): Inputs.
        before (int): Inputs that earlier runs have done.
        files (int): Inputs that this run has done.
        people (int): People that this run has found.
        failed (int): Inputs of this run with frames that could not be read.
        seconds (float): Time since the workers were asked for.
        failures (list[Failure]): At the end, all frames without poses, also of earlier
            runs.
    """

    total: int
    before: int = 0
    files: int = 0
    people: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Inputs that are not done."""
        return self.total - self.before - self.files

    @property
    def people_per_second(self) -> float:
        """People that this run has found, per second."""
        return self.people / self.seconds if self.seconds else 0.0


Report = Callable[[JobProgress], object]


class PoseJob:
    """Poses of many images and videos, in a folder of Parquet files.

    A job that was killed continues where it stopped: inputs that the folder has are not
    processed again.

    Args:
        inputs (Inputs): Files, folders, globs, lists, tar and Parquet files, or their
            addresses in object storage, see :func:`.items.find_items`.
        out (str | Path): Output folder, or its address. It can have parts of the same
            job only.
        model (PoseModel, optional): Defaults to ``None``: the models in this package.
        column (str, optional): Column of Parquet inputs. Defaults to ``None``.
        images_per_part (int): Maximum number of images in a part. Defaults to 256.
        retry_failures (bool): Whether inputs are processed again that an earlier run
            could not read. Defaults to ``False``.

    Raises:
        ImportError: If the extra ``scale`` is not installed.
        OSError: If an input, a model or the output cannot be read.
        ValueError: If there are no inputs, or the folder has poses of other settings.

    Attributes:
        items (list[Item]): The inputs.
        output (Output): The output.

    Example:
        >>> from rmpe_plugin.jobs import PoseJob, PoseModel, RayEngine
        >>> job = PoseJob('images/', 'poses/', PoseModel('photo'))  # doctest: +SKIP
        >>> job.run(RayEngine(workers=2)).people  # doctest: +SKIP
        152340
    """

    def __init__(
        self,
        inputs: Inputs,
        out: str | Path,
        model: PoseModel | None = None,
        *,
        column: str | None = None,
        images_per_part: int = 256,
        retry_failures: bool = False,
    ) -> None:
        if images_per_part < 1:
            raise ValueError(
                f'images_per_part must be at least 1, got {images_per_part}'
            )
        self.model = model or PoseModel()
        description = dict(
            rmpe_plugin=__version__,
            model=self.model.config,
            detector=self.model.detector,
            settings=self.model.settings(),
        )
        self.output = Output(out, description)
        self.items = find_items(inputs, column)
        self.images_per_part = images_per_part
        self.retry_failures = retry_failures

    def run(
        self,
        engine: Engine | None = None,
        shard: tuple[int, int] | None = None,
        report: Report = lambda progress: None,
    ) -> JobProgress:
        """Process all inputs.

        Args:
            engine (Engine, optional): :class:`RayEngine`, or :class:`ProcessEngine`,
                which needs no Ray. Defaults to ``None``: Ray on this machine.
            shard (tuple[int, int], optional): Index, from 0, and number of the shares
                into which the inputs are divided; only this share is processed. Jobs of
                all shares must have the same inputs. Defaults to ``None``: all inputs.
            report (Callable): Called with the progress after each part. Defaults to a
                function that does nothing.

        Returns:
            JobProgress: Counts and failures.

        Raises:
            BrokenExecutor: If no worker can be started.
            ImportError: If Ray is not installed.
            OSError: If there is no cluster at the address, the output cannot be
                written, or no input could be processed.
            ValueError: If a part is damaged, the workers do not fit into the cluster,
                or there is no such share.
        """
        items = self.items if shard is None else share_of(self.items, *shard)
        if self.retry_failures:
            self.output.forget_failures([item.path for item in items])
        done = self.output.scan()
        progress = JobProgress(len(items), _count(items, done))
        report(progress)
        if not progress.remaining:
            return self._finish(progress, items, done)
        start, errors = time.monotonic(), dict[str, str]()
        make_worker = partial(PoseWorker, self.model, self.output)
        with engine or RayEngine() as engine:
            size = self._part_size(items, engine.workers)
            # A worker that dies can take the units with it that it gets next, so groups
            # become smaller step by step. At last, an input has workers of its own.
            for images in size, max(1, size // 8), 1, _ALONE:
                units = make_units(items, images or 1, done.paths)
                runs = [units] if images else [[unit] for unit in units]
                for run in filter(None, runs):
                    for result in engine.run(run, make_worker):
                        progress.seconds = time.monotonic() - start
                        _add(progress, result, errors)
                        report(progress)
                done = self.output.scan()
        self._write_errors(items, done, errors)
        return self._finish(progress, items, self.output.scan())

    def _part_size(self, items: list[Item], workers: int) -> int:
        """Images of a part."""
        images = sum(not item.is_video for item in items)
        return part_size(images, workers, self.model.image_batch, self.images_per_part)

    def _write_errors(
        self, items: list[Item], done: Done, errors: dict[str, str]
    ) -> None:
        """Write a part with the inputs that no worker could process."""
        left = [item for item in items if item.path not in done.paths]
        if len(left) == len(items):
            raise OSError(
                f'no input could be processed, first {left[0].path}: '
                f'{errors.get(left[0].path, _DIED)}'
            )
        for item in left:
            error = errors.get(item.path, _DIED)
            rows = FrameRows(item.path, 0, None, error, InstanceData())
            with self.output.part(Unit([item]).name, []) as part:
                part.add(rows)

    def _finish(
        self, progress: JobProgress, items: list[Item], done: Done
    ) -> JobProgress:
        """Complete the counts from what the output has."""
        progress.files = _count(items, done) - progress.before
        paths = {item.path for item in items}
        progress.failures = sorted(f for f in done.failures if f.path in paths)
        return progress


def _count(items: list[Item], done: Done) -> int:
    """Number of inputs that are done."""
    return sum(item.path in done.paths for item in items)


def _add(progress: JobProgress, result: UnitResult, errors: dict[str, str]) -> None:
    """Add the result of a unit to the progress."""
    if result.is_output_error:
        raise OSError(result.error)
    if result.error:
        errors.update(dict.fromkeys(result.paths, result.error))
        return
    progress.files += len(result.paths)
    progress.people += result.people
    progress.failed += result.failed
