# SPDX-License-Identifier: Apache-2.0
"""Run the trainings and tests of the ablation, and evaluate every row."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from mmengine.config import Config
from mmengine.runner import Runner
from rich.progress import Progress

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.fitting.evaluation_split import METRICS, EvaluationSplit
from rmpe_plugin.fitting.nms_methods import Method, no_nms, parametric_nms
from rmpe_plugin.utils.files import ResumeJournal

from .comparison import MatchedPoses, TableResult, compare_rows
from .configs import (
    AblationFiles,
    build_detector_config,
    build_test_config,
    build_training_config,
    build_window_config,
)
from .plan import (
    FULL_MODEL,
    INITIALISATION,
    PAPER_TRAININGS,
    TABLES,
    TRAININGS,
    WINDOWS,
    Row,
    Size,
    with_parents,
)
from .steps import (
    SCORE_THR,
    best_oks_methods,
    detect_people,
    fit_proposals,
    learn_pose_nms,
)
from .tables import Windows


@dataclass(frozen=True)
class Job:
    """A training or a test that writes predicted poses.

    Attributes:
        training (str): A key of :data:`TRAININGS`.
        seed (int): Seed of the training.
        boxes (str): ``'val'`` for the training, which predicts on the detections of
            that split; for a test see :func:`build_test_config`.
    """

    training: str
    seed: int
    boxes: str = 'val'


def launch(config: Path, checkpoint: Path | None, threads: int) -> float:
    """Train, or test a checkpoint, in a process of its own.

    Args:
        config (Path): Config to run, see :func:`experiments.run_config.run_config`.
            The output is written beside it, to a file with the suffix ``.txt``.
        checkpoint (Path, optional): Checkpoint to test; ``None`` to train.
        threads (int): CPU threads of the process.

    Returns:
        float: CPU time of the process and of its data loaders in seconds, which other
        processes on the machine do not change.

    Raises:
        RuntimeError: If the process fails.
    """
    command = [sys.executable, '-m', 'experiments.run_config', config]
    if checkpoint is not None:
        command += ['--checkpoint', checkpoint]
    root = str(Path(__file__).resolve().parents[2])
    paths = filter(None, (root, os.environ.get('PYTHONPATH')))
    env = dict(
        os.environ, OMP_NUM_THREADS=str(threads), PYTHONPATH=os.pathsep.join(paths)
    )
    log = config.with_suffix('.txt')
    with log.open('w') as file:
        process = subprocess.Popen(
            [*map(str, command)], env=env, stdout=file, stderr=file
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = ''.join(log.read_text().splitlines(keepends=True)[-15:])
        raise RuntimeError(f'{config} failed, {log} ends with:\n{tail}')
    return usage.ru_utime + usage.ru_stime


def run_settings(size: Size, names: Iterable[str] = PAPER_TRAININGS) -> dict:
    """Describe what the results of a run depend on.

    Args:
        size (Size): Size of the ablation.
        names (Iterable[str]): The trainings. Defaults to those of the papers.

    Returns:
        dict: The size without the number of parallel jobs, the trainings, and the
        lowest score of a detection.
    """
    settings = asdict(size)
    del settings['jobs']
    trainings = {name: asdict(TRAININGS[name]) for name in names}
    return dict(settings, trainings=trainings, score_thr=SCORE_THR)


class Ablation:
    """The ablations of RMPE and CPN on groups of synthetic people.

    An interrupted run continues with the jobs that are not in its resume journal,
    ``journal.jsonl``.

    Args:
        folder (Path): Folder of all files.
        size (Size): Size of the ablation.
        jobs (int, optional): Number of trainings that run in parallel, and of processes
            of the detector. Defaults to ``None``, that of ``size``.
        launch (Callable): Runs a config, see :func:`launch`. Defaults to a process for
            each.

    Attributes:
        files (AblationFiles): The files.
        jobs (int): Number of trainings that run in parallel.
        settings (dict): What the results depend on, see :func:`run_settings`.

    Raises:
        ValueError: If the folder belongs to a run with other settings.
    """

    files_type = AblationFiles
    trainings: Sequence[str] = PAPER_TRAININGS

    def __init__(
        self,
        folder: Path,
        size: Size,
        jobs: int | None = None,
        launch: Callable[[Path, Path | None, int], float] = launch,
    ) -> None:
        self.files = self.files_type(folder.resolve(), size)
        self.jobs = size.jobs if jobs is None else jobs
        self.settings = self.describe(size)
        self._launch = launch
        path = self.files.folder / 'journal.jsonl'
        self._journal, self._lock = ResumeJournal(path, self.settings), Lock()
        # Jobs that failed in this run, or need one that did.
        self._failed: set[Job] = set()

    @property
    def records(self) -> list[dict]:
        """Records of the journal."""
        return self._journal.records

    @classmethod
    def describe(cls, size: Size) -> dict:
        """Describe what the results depend on; see :func:`run_settings`."""
        return run_settings(size, cls.trainings)

    def prepare(self) -> None:
        """Draw the people, train the detector, and fit the proposal model to its boxes.

        What the journal has is not repeated.

        Raises:
            ImportError: If scikit-learn (the extra ``learn``) is not installed.
            RuntimeError: If the training of the detector fails, or an image cannot be
                read.
            ValueError: If too few people are detected.
        """
        files, processes = self.files, os.cpu_count() or 1
        for split, number in files.size.images.items():
            size, difficulty, seed = (320, 240), 'groups', 0
            draw = partial(
                write_split, files.data, split, number, size, difficulty, seed,
                processes,
            )  # fmt: skip
            self._once(draw, images=split)
        if files.size.detector_epochs:
            self._once(self._train_detector, trained='detector')
            for split in filter('detector'.__ne__, files.size.images):
                detect = partial(detect_people, files, split, self.jobs)
                self._once(detect, detected=split)
        self._once(partial(fit_proposals, files), fitted=files.proposals.name)

    def run(self, seeds: Sequence[int], progress: Progress) -> None:
        """Run the trainings and tests that are missing, one seed after the other.

        Args:
            seeds (Sequence[int]): Seeds of the trainings.
            progress (Progress): Gets a task for each phase.

        Raises:
            RuntimeError: If a training or a test fails. Jobs that do not need it are
                finished before.
        """
        self.run_phases(_phases(seeds), progress)

    def run_phases(
        self, phases: Mapping[str, Sequence[Job]], progress: Progress
    ) -> None:
        """Run the jobs that are missing, one phase after the other.

        Args:
            phases (Mapping[str, Sequence[Job]]): Jobs of each phase, by its title.
            progress (Progress): Gets a task for each phase.

        Raises:
            RuntimeError: If a job fails. Jobs that do not need it are finished before.
        """
        messages: list[str] = []
        for title, jobs in phases.items():
            missing = [job for job in jobs if not self._is_finished(job)]
            finished = len(jobs) - len(missing)
            task = progress.add_task(title, total=len(jobs), completed=finished)
            blocked = {job for job in missing if self._failed & self._needs(job)}
            self._failed |= blocked
            runnable = [job for job in missing if job not in blocked]
            # MMEngine's configs are not thread-safe, so they are built here.
            for job in runnable:
                self._write_config(job)
            messages += self._run_parallel(runnable, partial(progress.advance, task))
        if messages:
            raise RuntimeError('\n'.join(messages))

    def results(
        self, seeds: Sequence[int], progress: Progress | None = None
    ) -> dict[str, TableResult]:
        """Evaluate every row.

        Args:
            seeds (Sequence[int]): Seeds of the trainings, which are finished.
            progress (Progress, optional): Gets tasks for the search of pose NMS
                parameters. Defaults to ``None``.

        Returns:
            dict[str, TableResult]: The results of every table.
        """
        methods = [self._learn_nms(seed, progress) for seed in seeds]
        return {
            title: compare_rows(
                {
                    name: [
                        self._evaluate(row, seed, chosen)
                        for seed, chosen in zip(seeds, methods, strict=True)
                    ]
                    for name, row in table.rows.items()
                }
            )
            for title, table in TABLES.items()
        }

    def windows(self, seeds: Sequence[int], progress: Progress) -> Windows:
        """Measure how precise the windows of the SSTNs are.

        Args:
            seeds (Sequence[int]): Seeds of the trainings, which are finished.
            progress (Progress): Gets a task.

        Returns:
            dict[str, list[dict[str, float]]]: For each name of :data:`WINDOWS` the
            metrics of ``WindowIoUMetric`` of every seed.
        """
        runs = [
            (title, name, seed) for title, name in WINDOWS.items() for seed in seeds
        ]
        metrics: Windows = {title: [] for title in WINDOWS}
        for title, name, seed in progress.track(runs, description='windows'):
            config = build_window_config(self.files, name, seed)
            metrics[title].append(Runner.from_cfg(config).test())
        return metrics

    def _evaluate(
        self, row: Row, seed: int, methods: dict[str, Method]
    ) -> MatchedPoses:
        """Match the poses of a row to the people of the validation split."""
        split = self._read(row.training, seed, row.boxes)
        people = methods[row.nms](split)
        return {metric: split.detections(people, metric) for metric in METRICS}

    def _read(self, training: str, seed: int, boxes: str) -> EvaluationSplit:
        """Read the predictions of a training and the annotations of their images."""
        return EvaluationSplit.from_files(
            self.files.predictions(training, seed, boxes),
            self.files.annotations(self.files.split_of(boxes)),
            metric='mAP',
        )

    def _once(self, action: Callable[[], object], **record: str) -> None:
        """Run an action unless the journal has its record, and add the record."""
        if record not in self._journal.records:
            action()
            self._record(record)

    def _record(self, record: dict) -> None:
        """Add a record to the journal; parallel jobs call it in their threads."""
        with self._lock:
            self._journal.append(record)

    def _train_detector(self) -> None:
        config = self.files.detector
        config.parent.mkdir(parents=True, exist_ok=True)
        build_detector_config(self.files).dump(config)
        self._launch(config, None, os.cpu_count() or 1)

    def _is_finished(self, job: Job) -> bool:
        """Whether the journal has a job, and its predictions exist."""
        recorded = any(
            asdict(job).items() <= record.items() for record in self._journal.records
        )
        return recorded and all(path.exists() for path in self._outputs(job))

    def _outputs(self, job: Job) -> list[Path]:
        """Predictions that a finished job has written."""
        return [self.files.predictions(job.training, job.seed, job.boxes)]

    def _build_config(self, job: Job) -> Config:
        """Build the config of a job."""
        if job.boxes == 'val':
            return build_training_config(self.files, job.training, job.seed)
        return build_test_config(self.files, job.training, job.seed, job.boxes)

    def _write_config(self, job: Job) -> None:
        """Write the config of a job to its work directory."""
        path = self.files.config(job.training, job.seed, job.boxes)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._build_config(job).dump(path)

    def _needs(self, job: Job) -> set[Job]:
        """Jobs that must be finished before a job."""
        return {
            Job(name, 0 if name == INITIALISATION else job.seed)
            for name in with_parents([job.training])
        } - {job}

    def _run_parallel(
        self, jobs: Sequence[Job], advance: Callable[[], None]
    ) -> list[str]:
        """Run jobs in parallel; the messages of those that failed."""
        parallel = min(self.jobs, max(1, len(jobs)))
        threads = max(1, (os.cpu_count() or 1) // parallel)
        messages = []
        with ThreadPoolExecutor(parallel) as pool:
            futures = {pool.submit(self._run_job, job, threads): job for job in jobs}
            try:
                for future in as_completed(futures):
                    try:
                        future.result()
                        advance()
                    except RuntimeError as error:
                        self._failed.add(futures[future])
                        messages.append(str(error))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return messages

    def _run_job(self, job: Job, threads: int) -> None:
        """Run a job, and add it to the journal, even if another job fails meanwhile."""
        checkpoint = (
            None
            if job.boxes == 'val'
            else self.files.checkpoint(job.training, job.seed)
        )
        config = self.files.config(job.training, job.seed, job.boxes)
        seconds = self._launch(config, checkpoint, threads)
        self._record(dict(asdict(job), cpu_seconds=round(seconds)))

    def _learn_nms(self, seed: int, progress: Progress | None) -> dict[str, Method]:
        """NMS methods by name, with what is best on the tuning split."""
        folder = self.files.folder / f'seed-{seed}' / 'pose_nms'
        split = self._read(FULL_MODEL, seed, 'tune')
        pred = self.files.predictions(FULL_MODEL, seed, 'tune')
        params = learn_pose_nms(
            split,
            pred,
            self.files.annotations('tune'),
            folder / 'journal.jsonl',
            progress,
        )
        params.to_json(folder / 'pose_nms.json')
        return {
            'none': no_nms,
            'pose NMS': partial(parametric_nms, params=params),
            **best_oks_methods(split),
        }


def _phases(seeds: Sequence[int]) -> dict[str, list[Job]]:
    """Jobs of each phase, which needs the phases before it."""
    phases = {INITIALISATION: [Job(INITIALISATION, 0)]}
    for seed in seeds:
        for stage in (1, 2):
            phases[f'seed {seed}, stage {stage}'] = [
                Job(name, seed)
                for name in PAPER_TRAININGS
                if TRAININGS[name].stage == stage
            ]
        phases[f'seed {seed}, tests'] = [
            Job(FULL_MODEL, seed, boxes) for boxes in ('tune', 'gt')
        ]
    return phases
