# SPDX-License-Identifier: Apache-2.0
"""Measure pose jobs: overhead, memory and start.

overhead: a job's worker and the plain inferencer take turns on copies of photographs,
in one process. workers: the same photographs on Ray with one and with two workers; the
poses are compared bit by bit. parts: time of a part on Ray, apart from its images.
images: CPU time per image of reading, of the detector's preparation and of writing.
memory: many small images, or a long video, and an
estimator that finds one person without computing, so that only the job is measured.

Example:
    python -m experiments.benchmarks.pose_jobs overhead --images 96 --rounds 3
    python -m experiments.benchmarks.pose_jobs workers --images 96
    python -m experiments.benchmarks.pose_jobs parts --images 500
    python -m experiments.benchmarks.pose_jobs images
    python -m experiments.benchmarks.pose_jobs memory --images 100000
    python -m experiments.benchmarks.pose_jobs memory --minutes 120
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import psutil
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from PIL import Image

from rmpe_plugin.apis import Frames, PoseResult, load_detector
from rmpe_plugin.jobs import (
    Engine,
    FrameRows,
    Output,
    PoseJob,
    PoseModel,
    PoseWorker,
    RayEngine,
    UnitResult,
    read_poses,
)
from rmpe_plugin.utils.arguments import at_least

PHOTOGRAPHS = Path('tests/data/coco_cc')
FPS = 25


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'measure', choices=('overhead', 'workers', 'parts', 'images', 'memory')
    )
    parser.add_argument('--images', type=at_least(1), default=96)
    parser.add_argument('--rounds', type=at_least(1), default=3)
    parser.add_argument('--minutes', type=at_least(1), help='length of the video')
    return parser.parse_args()


class InlineEngine(Engine):
    """A worker in this process, which stays loaded."""

    worker: PoseWorker | None = None

    def run(
        self, units: list, make_worker: partial[PoseWorker]
    ) -> Iterator[UnitResult]:
        """Process the units, see :class:`Engine`."""
        self.worker = self.worker or make_worker()
        _, self.worker.output = make_worker.args
        for unit in units:
            yield self.worker.process(unit)


@dataclass
class OnePersonModel(PoseModel):
    """Finds one person in each frame, without networks."""

    def settings(self) -> dict:
        """No settings."""
        return {}

    def load(self) -> 'OnePerson':
        """Load nothing."""
        return OnePerson()


class OnePerson:
    """Stands for the inferencer."""

    dataset_meta = dict(keypoint_id2name={i: str(i) for i in range(17)})

    def __call__(self, inputs: list) -> Iterator[PoseResult]:
        people = people_of_image(1, 17)
        for read in Frames(inputs).reads():
            yield PoseResult(read(), PoseDataSample(pred_instances=people))


def link_photographs(folder: Path, number: int) -> None:
    """Fill a folder with copies of photographs."""
    photographs = sorted(PHOTOGRAPHS.glob('*.jpg'))
    folder.mkdir()
    for i in range(number):
        source = photographs[i % len(photographs)].resolve()
        (folder / f'{i:06}.jpg').symlink_to(source)


def measure_overhead(folder: Path, images: int, rounds: int) -> None:
    """Print the time of a job relative to that of the plain inferencer."""
    link_photographs(folder / 'images', images)
    paths = sorted((folder / 'images').iterdir())
    inferencer, engine = PoseModel().load(), InlineEngine()
    for _ in inferencer(paths[:8]):
        pass
    PoseJob(paths[:8], folder / 'warm').run(engine)
    walls, cpus = [], []
    for i in range(rounds):
        job = PoseJob(folder / 'images', folder / f'out{i}')
        plain = timed(lambda: sum(1 for _ in inferencer(paths)))
        own = timed(lambda job=job: job.run(engine))
        walls.append(own[0] / plain[0])
        cpus.append(own[1] / plain[1])
        print(f'plain {plain[0]:.2f} s, job {own[0]:.2f} s: {walls[-1]:.3f} (wall)')
    print(
        f'{images} images: job / plain {statistics.median(walls):.3f} in wall time, '
        f'{statistics.median(cpus):.3f} in CPU time, medians of {rounds} rounds'
    )


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall time and CPU time of a call, seconds."""
    wall, cpu = time.monotonic(), time.process_time()
    function()
    return time.monotonic() - wall, time.process_time() - cpu


def measure_workers(folder: Path, images: int) -> None:
    """Print times on Ray with one and two workers, and whether the poses are equal."""
    link_photographs(folder / 'images', images)
    tables = []
    for workers in (1, 2):
        out, times = folder / f'out{workers}', []
        start = time.monotonic()
        PoseJob(folder / 'images', out, images_per_part=16).run(
            RayEngine(workers=workers),
            report=lambda p, times=times: times.append((time.monotonic(), p.files)),
        )
        (first, before), (last, after) = times[1], times[-1]
        rate = (after - before) / (last - first)
        print(
            f'{workers} workers: first part after {first - start:.1f} s, then '
            f'{rate:.2f} images/s, {time.monotonic() - start:.1f} s in total'
        )
        tables.append(read_poses(out).sort_by([('path', 'ascending')]))
    print('equal poses:', tables[0].equals(tables[1]))


def measure_parts(folder: Path, images: int) -> None:
    """Print the time of a part with one small image on Ray."""
    link_image(folder, images)
    times = []
    PoseJob(folder / 'images', folder / 'out', OnePersonModel(), images_per_part=1).run(
        RayEngine(workers=1), report=lambda p: times.append(time.monotonic())
    )
    parts = len(times) - 2
    print(f'{(times[-1] - times[1]) / parts * 1e3:.1f} ms per part, {parts} parts')


def measure_images(folder: Path, rounds: int) -> None:
    """Print the CPU time per photograph of all but the networks."""
    paths = sorted(PHOTOGRAPHS.glob('*.jpg'))
    detector, frames = load_detector(), [*Frames(paths)]
    people = [people_of_image(3, 14, seed) for seed in range(256)]
    output = Output(folder / 'out', dict(settings={}))

    def write() -> None:
        with output.part('part-a.parquet', []) as part:
            for i in range(256):
                part.add(FrameRows(f'/images/{i:012}.jpg', 0, None, None, people[i]))

    for name, function, number in (
        ('reading', lambda: [*Frames(paths)], len(paths)),
        ('preparation', lambda: [detector.preprocess(f.image) for f in frames], 16),
        ('writing', write, 256),
    ):
        times = [timed(function)[1] / number * 1e3 for _ in range(rounds)]
        print(f'{name}: {statistics.median(times):.2f} ms per image')
    (part,) = (folder / 'out').iterdir()
    sizes = [path.stat().st_size for path in paths]
    print(f'{statistics.mean(sizes) / 1e3:.0f} KB per photograph, '
          f'{part.stat().st_size / 256:.0f} bytes written')  # fmt: skip


def people_of_image(number: int, keypoints: int, seed: int = 0) -> InstanceData:
    """Random poses."""
    rng = np.random.default_rng(seed)
    return InstanceData(
        keypoints=500 * rng.random((number, keypoints, 2), np.float32),
        keypoint_scores=rng.random((number, keypoints), np.float32),
        bboxes=500 * rng.random((number, 4), np.float32),
        scores=rng.random(number, np.float32),
    )


def link_image(folder: Path, number: int) -> None:
    """Fill a folder with copies of a small image."""
    (folder / 'images').mkdir()
    Image.new('RGB', (32, 32)).save(folder / 'image.png')
    for i in range(number):
        os.symlink(folder / 'image.png', folder / 'images' / f'{i:07}.png')


def measure_memory(folder: Path, images: int, minutes: int | None) -> None:
    """Print the memory of this process while a job runs."""
    if minutes:
        (folder / 'images').mkdir()
        write_video(folder / 'images' / 'video.avi', minutes)
    else:
        link_image(folder, images)
    start = time.monotonic()
    job = PoseJob(folder / 'images', folder / 'out', OnePersonModel())
    print(f'listed {len(job.items)} files in {time.monotonic() - start:.1f} s')
    process = psutil.Process()
    if minutes:
        watch_frames(process, minutes * 60 * FPS // 10)
    marks = iter(range(images // 10, images + 1, images // 10))
    mark = next(marks)

    def report(progress: object) -> None:
        nonlocal mark
        while progress.files >= mark:
            print(f'{progress.files} files: {process.memory_info().rss >> 20} MiB')
            mark = next(marks, images + 1)

    start = time.monotonic()
    progress = job.run(InlineEngine(), report=report)
    seconds = time.monotonic() - start
    print(f'{progress.people} people in {seconds:.0f} s')


def watch_frames(process: psutil.Process, step: int) -> None:
    """Print the memory of this process after every so many frames."""
    predict = OnePerson.__call__

    def watched(self: OnePerson, inputs: list) -> Iterator[PoseResult]:
        for i, result in enumerate(predict(self, inputs), start=1):
            if i % step == 0:
                print(f'{i} frames: {process.memory_info().rss >> 20} MiB')
            yield result

    OnePerson.__call__ = watched


def write_video(path: Path, minutes: int) -> None:
    """Write a video of grey frames."""
    size = (64, 48)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), FPS, size)
    for i in range(minutes * 60 * FPS):
        writer.write(np.full((*size[::-1], 3), i % 256, np.uint8))
    writer.release()


def main() -> None:
    args = parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        if args.measure == 'overhead':
            measure_overhead(folder, args.images, args.rounds)
        elif args.measure == 'workers':
            measure_workers(folder, args.images)
        elif args.measure == 'images':
            measure_images(folder, args.rounds)
        elif args.measure == 'parts':
            measure_parts(folder, args.images)
        else:
            measure_memory(folder, args.images, args.minutes)


if __name__ == '__main__':
    main()
