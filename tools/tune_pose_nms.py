# SPDX-License-Identifier: Apache-2.0
"""Learn the parameters of pose NMS from predictions and the truth, as RMPE says.

AP is maximised over two of the four parameters at a time with the other two fixed,
alternately, until nothing improves, from each of the --start sets, on one part of the
images. The other part, which the search does not see, then compares what was learnt
with the published parameters and with MMPose's NMS.

The predictions are those of every box, before any NMS: what tools/test.py writes for a
config with nms_mode='none' and a detector's boxes if it is given
--cfg-options test_evaluator.outfile_prefix=PREFIX. Run it again with the same
arguments after an interruption, and it goes on from its history.

Example:
    python tools/tune_pose_nms.py --pred work_dirs/crowd/val.keypoints.json \
        --ann data/crowd/annotations/person_keypoints_val.json --out work_dirs/pose_nms
"""

import argparse
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.functional import oks_nms, soft_oks_nms
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from rmpe_plugin.ops import (
    PoseNMSParams,
    alternating_search,
    parametric_pose_nms_batch,
)
from rmpe_plugin.structures import group_by_image, poses_from_records
from rmpe_plugin.utils.coco_files import read_coco, require_images, require_keypoints

LEARNT = ('sigma1', 'sigma2', 'lambda_', 'eta')
PRESETS = ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')
OKS_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--pred', type=Path, required=True, help='COCO results')
    parser.add_argument('--ann', type=Path, required=True, help='COCO annotations')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--start',
        nargs='+',
        default=['rmpe-paper', 'rmpe-mpii'],
        help='presets or JSON files to start from; what is not learnt stays as they '
        'say (default: rmpe-paper rmpe-mpii)',
    )
    parser.add_argument(
        '--fit-share',
        type=float,
        default=0.5,
        help='share of the images to learn from; the others compare (default: 0.5)',
    )
    parser.add_argument('--seed', type=int, default=0, help='draws those images')
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    parser.add_argument(
        '--metainfo',
        default='configs/_base_/datasets/coco.py',
        help="the data set's keypoints, as MMPose's data sets name them",
    )
    args = parser.parse_args()
    for path in (args.pred, args.ann):
        if not path.exists():
            parser.error(f'{path} does not exist')
    if not 0 < args.fit_share < 1:
        parser.error(f'--fit-share must be between 0 and 1, got {args.fit_share}')
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    try:
        args.start = {name: PoseNMSParams.from_config(name) for name in args.start}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return args


@dataclass
class Part:
    """Some images: their truth, and the people predicted in each as COCO's records."""

    truth: dict
    sigmas: np.ndarray
    people: list[list[dict]]

    def __post_init__(self) -> None:
        number = len(self.sigmas)
        self.poses = [poses_from_records(people, number) for people in self.people]

    def ap(self, people: list[dict]) -> float:
        """COCO's AP of some people, on all sizes."""
        truth = COCO(self.truth)
        evaluation = COCOeval_faster(
            truth,
            truth.loadRes([dict(person) for person in people]),
            'keypoints',
            print_function=lambda *_: None,
            kpt_oks_sigmas=self.sigmas,
            # A truth without areas is measured by its boxes, as CrowdPose's is.
            use_area=all('area' in person for person in self.truth['annotations']),
        )
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
        evaluation.accumulate()
        precision = evaluation.eval['precision']
        return float(precision[precision > -1].mean())


# Ways to choose among the people of a part, by what they are called.
Method = Callable[[Part], list[dict]]


def no_nms(part: Part) -> list[dict]:
    """Everybody."""
    return [person for people in part.people for person in people]


def pose_nms(part: Part, params: PoseNMSParams) -> list[dict]:
    """Who stays after parametric pose NMS."""
    results = parametric_pose_nms_batch(
        [poses.keypoints for poses in part.poses],
        [poses.keypoint_scores for poses in part.poses],
        [poses.bboxes for poses in part.poses],
        params,
        [poses.scores for poses in part.poses],
    )
    kept = []
    for people, result in zip(part.people, results, strict=True):
        stay = [people[i] for i in result.keep]
        if params.merge != 'none':
            merged = np.dstack((result.keypoints, result.keypoint_scores))
            stay = [
                dict(person, keypoints=pose.ravel().tolist())
                for person, pose in zip(stay, merged, strict=True)
            ]
        kept += stay
    return kept


def mmpose_nms(part: Part, nms: Callable, threshold: float) -> list[dict]:
    """Who stays after one of MMPose's NMS by OKS, on the area of the boxes."""
    kept = []
    for people, poses in zip(part.people, part.poses, strict=True):
        areas = np.prod(poses.bboxes[:, 2:] - poses.bboxes[:, :2], axis=1)
        triples = np.dstack((poses.keypoints, poses.keypoint_scores))
        instances = [
            dict(keypoints=triple, score=score, area=area)
            for triple, score, area in zip(triples, poses.scores, areas, strict=True)
        ]
        kept += [people[i] for i in nms(instances, threshold, sigmas=part.sigmas)]
    return kept


def read(pred: Path, ann: Path, metainfo: str) -> tuple[dict, list[dict], np.ndarray]:
    """Read truth, predictions and the data set's sigmas, and refuse what is broken."""
    meta = parse_pose_metainfo(dict(from_file=metainfo))
    try:
        truth, people = read_coco(ann, pred, {'image_id', 'keypoints', 'bbox', 'score'})
        require_images(pred, 'result', people, truth)
        require_keypoints(pred, 'result', people, meta['num_keypoints'])
    except ValueError as error:
        raise SystemExit(str(error)) from error
    return truth, people, meta['sigmas']


def split(
    truth: dict, people: list[dict], sigmas: np.ndarray, share: float, seed: int
) -> tuple[Part, Part]:
    """Divide the images at random in a part to learn from and one to compare on."""
    ids = np.random.default_rng(seed).permutation(
        sorted(i['id'] for i in truth['images'])
    )
    chosen = set(ids[: round(share * len(ids))].tolist())
    parts = []
    for images in (chosen, set(ids.tolist()) - chosen):
        grouped = group_by_image(p for p in people if p['image_id'] in images)
        part = dict(
            truth,
            images=[i for i in truth['images'] if i['id'] in images],
            annotations=[a for a in truth['annotations'] if a['image_id'] in images],
        )
        if not grouped or not any(a.get('num_keypoints') for a in part['annotations']):
            raise SystemExit(
                f'of {len(ids)} images {len(images)} are in one part, with '
                f'{len(grouped)} that have predictions; both parts need people with '
                'keypoints, and predictions'
            )
        parts.append(Part(part, sigmas, list(grouped.values())))
    return tuple(parts)


# Every process holds its part; only methods and numbers pass between them.


def hold(part: Part) -> None:
    """Keep the part to learn from in this process."""
    global PART
    PART = part
    torch.set_num_threads(1)


def try_method(method: Method) -> float:
    """AP of a method on the part that this process holds."""
    return PART.ap(method(PART))


class History:
    """Trials of a search, remembered in a file.

    Args:
        path (Path): One JSON record a line: what the search is about, then its trials.
        about (dict): What must be equal for old trials to be of use.
    """

    def __init__(self, path: Path, about: dict) -> None:
        self.path = path
        self.aps: dict[tuple, float] = {}
        if not path.exists():
            path.write_text(json.dumps(about) + '\n')
            return
        # The last line may be cut off where the search was.
        *lines, _ = path.read_text().split('\n')
        if not lines or json.loads(lines[0]) != about:
            raise SystemExit(
                f'{path} is the history of another search; give another --out or '
                'remove it'
            )
        for trial in map(json.loads, lines[1:]):
            self.aps[self.key(trial.pop('start'), trial)] = trial['AP']
        path.write_text('\n'.join(lines) + '\n')

    @staticmethod
    def key(start: str, point: dict[str, float]) -> tuple:
        """A point without its last digits, which depend on how it was reached."""
        return start, *(float(f'{point[name]:.9g}') for name in LEARNT)

    def add(self, key: tuple, ap: float) -> None:
        """Remember a trial."""
        self.aps[key] = ap
        trial = dict(zip(('start', *LEARNT), key, strict=True), AP=ap)
        with self.path.open('a') as file:
            file.write(json.dumps(trial) + '\n')


def search(
    name: str, start: PoseNMSParams, pool: ProcessPoolExecutor, history: History
) -> tuple[float, PoseNMSParams, dict]:
    """Learn from one start: AP, parameters and the last sweep over each pair."""

    def sweep(pair: tuple[str, str], points: list[dict]) -> list[float]:
        keys = [history.key(name, point) for point in points]
        new = {k: p for k, p in zip(keys, points, strict=True) if k not in history.aps}
        methods = [
            partial(pose_nms, params=replace(start, **point)) for point in new.values()
        ]
        aps = pool.map(try_method, methods)
        with Progress(
            '{task.description}', BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        ) as progress:
            title = f'from {name}: {" and ".join(pair)}'
            task = progress.add_task(title, total=len(new))
            for key, ap in zip(new, aps, strict=True):
                history.add(key, ap)
                best = max(ap for key, ap in history.aps.items() if key[0] == name)
                progress.update(
                    task, advance=1, description=f'{title}, best AP {best:.4f}'
                )
        return [history.aps[key] for key in keys]

    best, ap, sweeps = alternating_search(
        sweep, {parameter: getattr(start, parameter) for parameter in LEARNT}
    )
    return ap, replace(start, **best), sweeps


def draw(sweeps: dict, path: Path) -> None:
    """Draw AP over each pair, around the best point."""
    figure, axes = plt.subplots(1, len(sweeps), figsize=(6 * len(sweeps), 5))
    for axis, ((first, second), points, values) in zip(
        axes, sweeps.values(), strict=True
    ):
        x, y = (
            np.unique([point[name] for point in points]) for name in (first, second)
        )
        ap = np.reshape(values, (len(x), len(y))).T
        steps = range(len(x))
        image = axis.imshow(ap, origin='lower', cmap='viridis')
        axis.set_xticks(steps, [f'{value:.3g}' for value in x], rotation=45)
        axis.set_yticks(steps, [f'{value:.3g}' for value in y])
        middle = len(x) // 2
        axis.plot(middle, middle, marker='*', color='red', markersize=14)
        axis.set(xlabel=first.strip('_'), ylabel=second.strip('_'))
        axis.set_title(f'AP, the other two at their best; best {ap.max():.4f}')
        figure.colorbar(image, ax=axis)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def compare(pool, unseen: Part, learnt: PoseNMSParams) -> Table:
    """Table of AP by method, on what was learnt from and on what was not seen."""
    methods: dict[str, Method] = {
        'no NMS': no_nms,
        'learnt': partial(pose_nms, params=learnt),
    }
    for name in PRESETS:
        methods[name] = partial(pose_nms, params=PoseNMSParams.preset(name))
    tried = {'OKS-NMS': oks_nms, 'soft OKS-NMS': soft_oks_nms}
    for name, nms in tried.items():
        for threshold in OKS_THRESHOLDS:
            methods[f'{name} {threshold}'] = partial(
                mmpose_nms, nms=nms, threshold=threshold
            )
    seen = dict(zip(methods, pool.map(try_method, methods.values()), strict=True))

    rows = {'no NMS': 'no NMS'}
    for name in tried:
        same = [f'{name} {threshold}' for threshold in OKS_THRESHOLDS]
        rows[f"{same[-1]} (MMPose's default)"] = same[-1]
        best = max(same, key=lambda method: (seen[method], method))
        rows[f'{best} (best of {len(same)})'] = best
    rows |= {name: name for name in (*PRESETS, 'learnt')}

    table = Table('', 'AP, learnt from', 'AP, not seen', 'poses left, not seen')
    for row, name in rows.items():
        people = methods[name](unseen)
        table.add_row(
            row, f'{seen[name]:.4f}', f'{unseen.ap(people):.4f}', f'{len(people)}'
        )
    return table


def main() -> None:
    args = parse_args()
    console = Console()
    truth, people, sigmas = read(args.pred, args.ann, args.metainfo)
    # Normalised, so that what is learnt serves other numbers of keypoints too.
    starts = {
        name: start
        if start.normalize
        else replace(start, eta=start.eta / len(sigmas), normalize=True)
        for name, start in args.start.items()
    }
    seen, unseen = split(truth, people, sigmas, args.fit_share, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    about = dict(
        pred=hashlib.sha256(args.pred.read_bytes()).hexdigest(),
        ann=hashlib.sha256(args.ann.read_bytes()).hexdigest(),
        starts={name: asdict(start) for name, start in starts.items()},
        fit_share=args.fit_share,
        seed=args.seed,
    )
    history = History(args.out / 'history.jsonl', about)
    console.print(
        f'learning from {len(seen.people)} images with '
        f'{sum(map(len, seen.people))} predicted poses, comparing on '
        f'{len(unseen.people)} with {sum(map(len, unseen.people))}'
    )
    with ProcessPoolExecutor(args.workers, get_context('spawn'), hold, (seen,)) as pool:
        found = {n: search(n, start, pool, history) for n, start in starts.items()}
        name = max(found, key=lambda name: found[name][0])
        _, learnt, sweeps = found[name]
        learnt.to_json(args.out / 'pose_nms.json')
        draw(sweeps, args.out / 'search.png')
        values = ', '.join(f'{n.strip("_")} {getattr(learnt, n):.4g}' for n in LEARNT)
        console.print(f'{len(history.aps)} trials; learnt from {name}: {values}')
        console.print(compare(pool, unseen, learnt))
    for name in ('pose_nms.json', 'history.jsonl', 'search.png'):
        print(args.out / name)


if __name__ == '__main__':
    main()
