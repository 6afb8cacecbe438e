# SPDX-License-Identifier: Apache-2.0
"""Rerun the ablations of RMPE and CPN on a fixed crowd of synthetic people.

Draws the crowd, fits PGPG to its detections, trains a small CPN in every way that a row
of the tables needs, learns pose NMS on images that no other step sees, and tests on the
detections of the validation images. Every training starts tools/train.py with a config
that it writes to its folder, so that one can be looked at or run alone.

A run that was interrupted goes on with the rows that are missing. At the end there are
results.json, table.md and ablation.png in --work-dir.

Example:
    python tools/ablation.py --size cpu --work-dir work_dirs/ablation
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import torch
from compare_proposals import CONFIG as STAGE1
from compare_proposals import NO_JITTER, perturb, remember
from compare_sstn import CONFIG as STAGE2
from compare_sstn import change_sstn
from mmengine.config import Config
from mmpose.evaluation.functional import oks_nms, soft_oks_nms
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table
from tune_pose_nms import OKS_THRESHOLDS, Part, mmpose_nms, no_nms, pose_nms, read

from rmpe_plugin.datasets.synthetic import write_split
from rmpe_plugin.ops import PoseNMSParams
from rmpe_plugin.structures import group_by_image

TOOLS = Path(__file__).parent
METAINFO = 'configs/_base_/datasets/coco.py'


@dataclass(frozen=True)
class Size:
    """How large the benchmark is.

    Attributes:
        images (dict[str, int]): Images of each split: to train on, to learn pose NMS
            on, to test on.
        epochs (tuple[int, int]): Epochs of stage 1 and of stage 2.
        batch_size (int): People in a batch.
        jobs (int): Trainings at a time.
        num_workers (int): Data loader's processes of each.
        width (int): Channels of the backbone's first level; the pyramid has twice as
            many.
    """

    images: dict[str, int]
    epochs: tuple[int, int]
    batch_size: int
    jobs: int
    num_workers: int
    width: int


SIZES = {
    'cpu': Size(dict(train=1000, tune=200, val=400), (4, 2), 32, 2, 0, 16),
    'gpu': Size(dict(train=4000, tune=400, val=800), (4, 2), 32, 4, 4, 24),
    # to try the tool
    'tiny': Size(dict(train=40, tune=20, val=20), (1, 1), 8, 2, 0, 16),
}


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        boxes (str): What it is trained on: ``'proposals'`` of PGPG, ``'jitter'`` or
            ``'true'`` boxes.
        head (dict): Stage 1: what differs in the head.
        after (str, optional): Stage 2: the training that it goes on from.
        sstn (dict, optional): Stage 2: what differs in the SSTN; ``None`` for none.
    """

    boxes: str = 'proposals'
    head: dict = field(default_factory=dict)
    after: str | None = None
    sstn: dict | None = None


L2 = dict(_delete_=True, type='KeypointMSELoss', use_target_weight=True)
TRAININGS = {
    'cpn': Training(),
    'true': Training('true'),
    'jitter': Training('jitter'),
    'cpn-global': Training(head=dict(refine_net=None)),
    'cpn-l2': Training(head=dict(loss=L2)),
    **{f'cpn-m{m}': Training(head=dict(loss=dict(topk=m))) for m in (6, 10, 12, 14)},
    'rmpe': Training(after='cpn', sstn={}),
    'no-parallel': Training(after='cpn', sstn=dict(parallel=None)),
    'no-sstn': Training(after='cpn'),
    'rmpe-true': Training('true', after='true', sstn={}),
    'rmpe-jitter': Training('jitter', after='jitter', sstn={}),
    'two-step': Training('true', after='true'),
}


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        training (str): The training it is of.
        paper (float, optional): What the paper has: mAP of MPII, AP of COCO minival.
        nms (str): Which NMS the poses go through.
        boxes (str): What it is tested on, ``'val'`` for the detections.
    """

    training: str
    paper: float | None = None
    nms: str = 'pose NMS'
    boxes: str = 'val'


# Each table compares its rows with the first.
TABLES = {
    "RMPE, the paper's table 3": {
        'full RMPE': Row('rmpe', 80.8),
        'without SSTN and parallel SPPE': Row('no-sstn', 78.2),
        'without parallel SPPE': Row('no-parallel', 79.1),
        'without PGPG': Row('rmpe-true', 73.0),
        'random jittering in its place': Row('rmpe-jitter', 77.9),
        'without pose NMS': Row('rmpe', 75.7, 'none'),
        'OKS-NMS in its place': Row('rmpe', None, 'OKS-NMS'),
        'soft OKS-NMS in its place': Row('rmpe', None, 'soft OKS-NMS'),
        'plain two steps': Row('two-step', 71.7, 'none'),
        'true boxes': Row('rmpe', 84.2, 'none', 'true'),
    },
    'CPN': {
        'GlobalNet, RefineNet, OHKM: M = 8': Row('cpn', 69.4, 'none'),
        'GlobalNet alone': Row('cpn-global', 66.6, 'none'),
        'RefineNet with L2, which is M = 17': Row('cpn-l2', 68.6, 'none'),
        'M = 6': Row('cpn-m6', 68.8, 'none'),
        'M = 10': Row('cpn-m10', 69.0, 'none'),
        'M = 12': Row('cpn-m12', 69.0, 'none'),
        'M = 14': Row('cpn-m14', 69.0, 'none'),
    },
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--size', choices=tuple(SIZES), default='cpu',
        help='cpu: about two hours on two cores; gpu: for a CUDA device and 16 cores; '
        'tiny: to try the tool (default: cpu)',
    )  # fmt: skip
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablation'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--jobs', type=int, help='trainings at a time (by the size)')
    args = parser.parse_args()
    if args.jobs is not None and args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    if len(set(args.seeds)) < len(args.seeds) or min(args.seeds) < 0:
        parser.error(f'--seeds must differ and not be negative, got {args.seeds}')
    if args.size == 'gpu' and not torch.cuda.is_available():
        parser.error('--size gpu needs a CUDA device, and torch sees none')
    return args


@dataclass(frozen=True)
class Job:
    """One run of a tool that predicts.

    Attributes:
        done (Path): The predictions.
        unfinished (Path): Where they are before the run has ended.
        command (tuple): The tool and its arguments.
    """

    done: Path
    unfinished: Path
    command: tuple


class Benchmark:
    """The crowd, the trainings on it and what they predict, in a folder.

    Args:
        folder (Path): The folder.
        size (Size): How large it is.
        jobs (int): Trainings at a time.
    """

    def __init__(self, folder: Path, size: Size, jobs: int) -> None:
        self.folder, self.size, self.jobs = folder.resolve(), size, jobs
        self.data = self.folder / 'crowd'
        self.proposals = self.folder / 'pgpg.json'
        # what a person would write who has no PGPG: shift and scale about as a detector
        self.jitter = Config.fromfile(STAGE2).perturbation

    def file(self, kind: str, split: str) -> Path:
        """Annotations of the crowd."""
        return self.data / 'annotations' / f'person_{kind}_{split}.json'

    def run(self, log: Path, tool: str, *arguments: object) -> None:
        """Run one of the tools, what it prints in a log."""
        threads = max(1, os.cpu_count() // self.jobs)
        paths = filter(None, (str(TOOLS.parent), os.environ.get('PYTHONPATH')))
        env = dict(
            os.environ,
            OMP_NUM_THREADS=str(threads),
            PYTHONPATH=os.pathsep.join(paths),
        )
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
        with log.open('w') as file:
            done = subprocess.run(command, env=env, stdout=file, stderr=file)
        if done.returncode:
            tail = ''.join(log.read_text().splitlines(keepends=True)[-15:])
            raise SystemExit(f'{tool} failed, {log} ends with:\n{tail}')

    def draw_crowd(self) -> None:
        """Draw the splits and fit PGPG to the training images, once."""
        for split, number in self.size.images.items():
            if not self.file('detections', split).exists():
                write_split(self.data, split, number, (320, 240), 'crowd', seed=0)
        if not self.proposals.exists():
            self.run(
                self.folder / 'pgpg.txt',
                'fit_pgpg.py',
                *('--ann', self.file('keypoints', 'train')),
                *('--det', self.file('detections', 'train')),
                *('--out', self.proposals),
            )

    def config(self, name: str, seed: int) -> Config:
        """The config of a training; its validation is the test on the detections."""
        training = TRAININGS[name]
        stage = 1 if training.after is None else 2
        config = Config.fromfile(STAGE1 if stage == 1 else STAGE2)
        channels = [self.size.width * 2**level for level in range(4)]
        backbone = dict(base_channels=channels[0], stem_channels=channels[0])
        config.model.backbone.update(backbone)
        config.model.head.update(in_channels=channels, feat_channels=channels[1])
        if stage == 1:
            config.merge_from_dict(dict(model=dict(head=copy.deepcopy(training.head))))
        else:
            before = str(self.checkpoint(training.after, seed))
            config.load_from = config.model.stn.backbone.init_cfg.checkpoint = before
            config.model.stn.backbone.update(backbone)
            config.model.stn.in_channels = channels[-1]
            change_sstn(config, training.sstn)
        config.custom_hooks.append(dict(type='ChannelsLastHook'))

        train, test = config.train_dataloader, config.test_dataloader
        train.dataset.data_root = test.dataset.data_root = str(self.data)
        model = str(self.proposals) if training.boxes == 'proposals' else None
        jitter = self.jitter if training.boxes == 'jitter' else NO_JITTER
        train.dataset.pipeline = perturb(config.train_pipeline, model, jitter)
        test.dataset.bbox_file = str(self.file('detections', 'val'))
        for loader in (train, test):
            loader.batch_size = self.size.batch_size
            loader.num_workers = self.size.num_workers
            loader.persistent_workers = False
        config.test_evaluator.ann_file = str(self.file('keypoints', 'val'))
        config.val_dataloader = copy.deepcopy(test)
        config.val_evaluator = copy.deepcopy(config.test_evaluator)
        config.model.test_cfg.flip_test = False

        epochs = self.size.epochs[stage - 1]
        config.train_cfg.update(max_epochs=epochs, val_interval=epochs)
        config.param_scheduler[-1].end = epochs
        config.default_hooks.checkpoint.update(interval=epochs, save_best=None)
        config.randomness.seed = seed
        return config

    def work_dir(self, name: str, seed: int) -> Path:
        """Where a training is."""
        return self.folder / f'seed-{seed}' / name

    def checkpoint(self, name: str, seed: int) -> Path:
        """What a training ends with."""
        stage = 0 if TRAININGS[name].after is None else 1
        return self.work_dir(name, seed) / f'epoch_{self.size.epochs[stage]}.pth'

    def predictions(self, name: str, seed: int, boxes: str = 'val') -> Path:
        """Where a training's poses are, of a split's detections or of true boxes."""
        return self.work_dir(name, seed) / f'{boxes}.json'

    def training(self, name: str, seed: int) -> Job:
        """What trains, and predicts on the detections of the validation images."""
        done = self.predictions(name, seed)
        return self.job(self.config(name, seed), done, 'train.py')

    def test(self, name: str, seed: int, boxes: str) -> Job:
        """What predicts on other boxes: a split's detections, or the true ones."""
        split = 'val' if boxes == 'true' else boxes
        config = Config.fromfile(self.predictions(name, seed).with_suffix('.py'))
        dataset = config.test_dataloader.dataset
        dataset.bbox_file = str(self.file('detections', split))
        if boxes == 'true':
            dataset.bbox_file = None
        truth = str(self.file('keypoints', split))
        dataset.update(ann_file=truth, data_prefix=dict(img=f'{split}/'))
        config.test_evaluator.ann_file = truth
        done = self.predictions(name, seed, boxes)
        return self.job(config, done, 'test.py', self.checkpoint(name, seed))

    def job(self, config: Config, done: Path, tool: str, *arguments: Path) -> Job:
        """Write the config of a tool's run beside what it will predict."""
        unfinished = done.with_name(f'{done.stem}-unfinished')
        for evaluator in (config.val_evaluator, config.test_evaluator):
            evaluator.outfile_prefix = str(unfinished)
        path = done.with_suffix('.py')
        path.parent.mkdir(parents=True, exist_ok=True)
        config.dump(path)
        return Job(
            done=done,
            unfinished=Path(f'{unfinished}.keypoints.json'),
            command=(tool, path, *arguments, '--work-dir', path.parent),
        )

    def finish(self, job: Job) -> None:
        """Run a job; its predictions have their name once it has ended well."""
        self.run(job.done.with_suffix('.txt'), *job.command)
        job.unfinished.replace(job.done)

    def run_all(self, seeds: list[int]) -> None:
        """Run what the tables need and is not there."""
        first = [n for n, training in TRAININGS.items() if training.after is None]
        second = [n for n in TRAININGS if n not in first]
        others = [('rmpe', boxes) for boxes in ('tune', 'true')]
        with (
            ThreadPoolExecutor(self.jobs) as pool,
            Progress(
                '{task.description}',
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                refresh_per_second=1,
            ) as progress,
        ):
            for title, prepare, wanted in (
                ('stage 1', self.training, [(n, s) for s in seeds for n in first]),
                ('stage 2', self.training, [(n, s) for s in seeds for n in second]),
                ('tests', self.test, [(n, s, b) for s in seeds for n, b in others]),
            ):
                task = progress.add_task(title, total=len(wanted))
                # in this thread: MMEngine's configs are not made for several
                jobs = [
                    prepare(*w) for w in wanted if not self.predictions(*w).exists()
                ]
                progress.advance(task, len(wanted) - len(jobs))
                futures = [pool.submit(self.finish, job) for job in jobs]
                try:
                    for future in as_completed(futures):
                        future.result()
                        progress.advance(task)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def learn_nms(self, seed: int) -> dict[str, partial]:
        """What each NMS does, with what is best on the split to learn from."""
        folder = self.folder / f'seed-{seed}' / 'pose_nms'
        pred = self.predictions('rmpe', seed, 'tune')
        truth = self.file('keypoints', 'tune')
        if not (folder / 'pose_nms.json').exists():
            self.run(
                folder / 'log.txt',
                'tune_pose_nms.py',
                *('--pred', pred, '--ann', truth, '--out', folder),
                *('--fit-share', 0.9),
            )
        part = read_part(pred, truth)
        params = PoseNMSParams.from_config(str(folder / 'pose_nms.json'))
        methods = {'none': no_nms, 'pose NMS': partial(pose_nms, params=params)}
        for name, nms in (('OKS-NMS', oks_nms), ('soft OKS-NMS', soft_oks_nms)):
            tried = [
                partial(mmpose_nms, nms=nms, threshold=threshold)
                for threshold in OKS_THRESHOLDS
            ]
            methods[name] = max(tried, key=lambda method: part.ap(method(part)))
        return methods

    def results(self, seeds: list[int]) -> dict[str, dict[str, list[float]]]:
        """AP of every row of every table, a number a seed."""
        found = {title: {row: [] for row in rows} for title, rows in TABLES.items()}
        for seed in seeds:
            methods = self.learn_nms(seed)
            for title, rows in TABLES.items():
                for name, row in rows.items():
                    pred = self.predictions(row.training, seed, row.boxes)
                    part = read_part(pred, self.file('keypoints', 'val'))
                    ap = part.ap(methods[row.nms](part))
                    found[title][name].append(ap)
        return found


def read_part(pred: Path, ann: Path) -> Part:
    """Predictions beside their truth."""
    truth, people, sigmas = read(pred, ann, METAINFO)
    return Part(truth, sigmas, list(group_by_image(people).values()))


def verdict(change: np.ndarray, paper: float | None) -> str:
    """Whether the seeds' changes go the way that the paper's does."""
    if paper is None:
        return ''
    if len(set(np.sign(change))) > 1 or not change.any():
        return 'seeds differ'
    return 'yes' if np.sign(change[0]) == np.sign(paper) else 'no'


def tabulate(results: dict) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    """Title and rows of every table, as text."""
    for title, rows in TABLES.items():
        first = next(iter(rows))
        base, paper_base = np.array(results[title][first]), rows[first].paper
        lines = []
        for name, row in rows.items():
            aps = np.array(results[title][name])
            cells = [name, f'{aps.mean():.4f}', ', '.join(f'{ap:.4f}' for ap in aps)]
            if name == first:
                lines.append((*cells, '', '', ''))
                continue
            change = aps - base
            paper = None if row.paper is None else row.paper - paper_base
            lines.append((
                *cells,
                f'{change.mean():+.4f}',
                '' if paper is None else f'{paper:+.1f}',
                verdict(change, paper),
            ))  # fmt: skip
        yield title, lines


HEADINGS = ('', 'AP, mean', 'seeds', 'change', "the paper's", "the paper's direction")


def to_markdown(results: dict) -> str:
    """The tables for a page."""
    text = []
    for title, lines in tabulate(results):
        text += [(title, *HEADINGS[1:]), ('---',) * len(HEADINGS), *lines, ()]
    return '\n'.join(f'| {" | ".join(line)} |' if line else '' for line in text)


def draw(results: dict, path: Path) -> None:
    """Draw the change of each row against its table's first, a dot a seed."""
    heights = [len(rows) for rows in TABLES.values()]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(8, 0.4 * sum(heights) + 1.5), height_ratios=heights
    )
    for axis, (title, rows) in zip(axes, results.items(), strict=True):
        base = np.array(next(iter(rows.values())))
        for y, aps in enumerate(rows.values()):
            change = np.array(aps) - base
            axis.plot(change, np.full(len(change), y), 'o', color='steelblue')
            axis.plot(change.mean(), y, '|', color='black', markersize=16)
        axis.axvline(0, color='grey', linewidth=0.8)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(axis='x', alpha=0.3)
        axis.set_title(f'{title}: first row AP {base.mean():.3f}', fontsize=10)
    axes[-1].set_xlabel('change of AP: a dot a seed, a stroke their mean')
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    args = parse_args()
    size = SIZES[args.size]
    remember(args.work_dir, asdict(size))
    benchmark = Benchmark(args.work_dir, size, args.jobs or size.jobs)
    benchmark.draw_crowd()
    benchmark.run_all(args.seeds)
    results = benchmark.results(args.seeds)

    console = Console()
    for title, lines in tabulate(results):
        table = Table(*HEADINGS, title=title)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    record = dict(size=args.size, **asdict(size), seeds=args.seeds, AP=results)
    (args.work_dir / 'results.json').write_text(json.dumps(record, indent=1))
    (args.work_dir / 'table.md').write_text(to_markdown(results))
    draw(results, args.work_dir / 'ablation.png')
    for name in ('results.json', 'table.md', 'ablation.png'):
        print(args.work_dir / name)


if __name__ == '__main__':
    main()
