# SPDX-License-Identifier: Apache-2.0
"""Run the trainings and tests of the study, and evaluate them."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from rich.progress import Progress

from experiments.ablation import Ablation, Job, SampledMetric, Size, sample_metrics
from experiments.ablation.runner import run_settings
from experiments.ablation.steps import detect_people
from rmpe_plugin.fitting.evaluation_split import METRICS, EvaluationSplit
from rmpe_plugin.fitting.nms_methods import no_nms, parametric_nms
from rmpe_plugin.ops import PoseNMSParams, ProposalModel
from rmpe_plugin.utils.files import atomic_write

from . import plan
from .box_sets import training_boxes
from .files import StudyFiles, build_box_set_config, write_box_set, write_second_pass

#: Pose NMS of all results but those of hard keypoint mining.
POSE_NMS = 'alphapose-coco'


class SSTNStudy(Ablation):
    """When the SSTN pays.

    It has the ablation's journal and trainings. All networks of a seed continue one
    network of stage 1, and are tested on all box sets.

    Args:
        args, kwargs: As of :class:`Ablation`.
    """

    files_type = StudyFiles
    trainings = plan.STUDY_TRAININGS
    files: StudyFiles

    @classmethod
    def describe(cls, size: Size) -> dict:
        """Describe what the results depend on; see :func:`run_settings`."""
        boxes = [*plan.box_sets(size)]
        return dict(run_settings(size, cls.trainings), box_sets=boxes)

    def prepare(self) -> None:
        """Do what the ablation does, and write the training boxes and the box sets."""
        super().prepare()
        files = self.files
        for epoch in filter(None, plan.detector_epochs(files.size)):
            detect = partial(detect_people, files, 'val', self.jobs, epoch)
            self._once(detect, detected=f'val, epoch {epoch}')
        model = ProposalModel.from_json(files.proposals)
        write = training_boxes(model, plan.WIDTHS).to_json
        self._once(partial(write, files.training_boxes), training_boxes='PGPG')
        for name in plan.box_sets(files.size):
            self._once(partial(write_box_set, files, name), box_set=name)

    def evaluate(self, seeds: Sequence[int], progress: Progress) -> list[str]:
        """Compute the metrics of the finished tests, in parallel.

        Args:
            seeds (Sequence[int]): Seeds of the trainings.
            progress (Progress): Gets a task.

        Returns:
            list[str]: Messages of the evaluations that failed, such as that of a
            network whose poses are not finite.
        """
        tasks = {
            task.out: task
            for record in self.records
            if record.get('boxes') in plan.TESTS and record['seed'] in seeds
            for task in _tasks(self.files, record)
        }
        missing = [task for task in tasks.values() if not task.is_finished]
        finished = len(tasks) - len(missing)
        bar = progress.add_task('evaluation', total=len(tasks), completed=finished)
        messages = []
        with _pool(min(os.cpu_count() or 1, len(missing))) as submit:
            for future in as_completed([submit(task.run) for task in missing]):
                try:
                    future.result()
                    progress.advance(bar)
                except ValueError as error:
                    messages.append(str(error))
        return messages

    def _outputs(self, job: Job) -> list[Path]:
        """Predictions that a finished job has written."""
        if job.boxes == 'val':
            return super()._outputs(job)
        return [
            self.files.poses(job.training, job.seed, job.boxes, name)
            for name in self.files.box_sets(job.boxes)
        ]

    def _needs(self, job: Job) -> set[Job]:
        """Jobs that must be finished before a job."""
        needed = super()._needs(job)
        if job.boxes == plan.SECOND_PASS:
            needed.add(Job(job.training, job.seed, plan.BOXES))
        if job.training == 'constant-scale' or job.boxes == plan.MEAN_WINDOW:
            # The window is that of this network.
            tested = Job('no-parallel', job.seed, plan.BOXES)
            needed |= {tested, *super()._needs(tested)}
        return needed

    def _build_config(self, job: Job) -> Config:
        """Config of a job; the boxes of a second pass are written before."""
        if job.boxes == 'val':
            return super()._build_config(job)
        if job.boxes == plan.SECOND_PASS:
            for name in self.files.box_sets():
                write_second_pass(self.files, job.training, job.seed, name)
        outputs = self.files.work_dir(job.training, job.seed) / job.boxes
        outputs.mkdir(parents=True, exist_ok=True)
        return build_box_set_config(self.files, job.training, job.seed, job.boxes)


@contextmanager
def _pool(processes: int) -> Iterator[Callable]:
    """``submit`` of some processes, or of a thread of this process."""
    if processes < 2:
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit
        return
    with ProcessPoolExecutor(processes, get_context('spawn')) as pool:
        yield pool.submit


class _Evaluation(NamedTuple):
    """The evaluation of a test on a box set."""

    poses: Path
    annotations: Path
    pose_nms: str | None
    out: Path

    @property
    def is_finished(self) -> bool:
        """Whether the metrics are those of the present predictions."""
        return (
            self.out.exists() and self.out.stat().st_mtime >= self.poses.stat().st_mtime
        )

    def run(self) -> None:
        """Compute and write the metrics."""
        # An evaluation that fails leaves no metrics of earlier predictions.
        self.out.unlink(missing_ok=True)
        split = EvaluationSplit.from_files(self.poses, self.annotations, metric='mAP')
        if self.pose_nms is None:
            people = no_nms(split)
        else:
            people = parametric_nms(split, PoseNMSParams.preset(self.pose_nms))
        sampled = sample_metrics({m: split.detections(people, m) for m in METRICS})
        with atomic_write(self.out, 'wb') as file:
            np.savez(
                file,
                **{f'{m}_value': metric.value for m, metric in sampled.items()},
                **{f'{m}_samples': metric.samples for m, metric in sampled.items()},
            )


def _tasks(files: StudyFiles, record: dict) -> list[_Evaluation]:
    """Evaluations of a finished test whose predictions exist."""
    test = record['boxes']
    key = record['training'], record['seed'], test
    return [
        _Evaluation(
            files.poses(*key, name),
            files.annotations('val'),
            None if test == plan.MINING else POSE_NMS,
            files.metrics(*key, name),
        )
        for name in files.box_sets(test)
        if files.poses(*key, name).exists()
    ]


def read_metrics(path: Path) -> dict[str, SampledMetric]:
    """Read the metrics of a test on a box set.

    Args:
        path (Path): A file of :meth:`SSTNStudy.evaluate`.

    Returns:
        dict[str, SampledMetric]: The metrics by name.
    """
    with np.load(path, allow_pickle=False) as file:
        return {
            m: SampledMetric(float(file[f'{m}_value']), file[f'{m}_samples'])
            for m in METRICS
        }
